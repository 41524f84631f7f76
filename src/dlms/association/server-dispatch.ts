import type { Apdu } from "../xdlms/apdu.ts";
import { CONFORMANCE } from "./mechanisms.ts";
import type { Requester } from "./meter-objects.ts";
import type { Answer, ServerServices } from "./server-services.ts";

/** What a request in an association that stands is answered with. "nothing": it wants no answer; null: it was not negotiated, or is none. */
export function serve(
  request: Apdu,
  by: Requester,
  services: ServerServices,
  conformance: number,
): Answer | "nothing" | null {
  const negotiated = (bit: number) => (conformance & bit) !== 0;
  switch (request.apdu) {
    case "get-request":
      return negotiated(CONFORMANCE.get) && isFormNegotiated(request, negotiated)
        ? services.get(request, by)
        : null;
    case "set-request":
      return negotiated(CONFORMANCE.set) && isFormNegotiated(request, negotiated)
        ? services.set(request, by)
        : null;
    case "action-request":
      return negotiated(CONFORMANCE.action) && isFormNegotiated(request, negotiated)
        ? services.action(request, by)
        : null;
    case "access-request":
      return negotiated(CONFORMANCE.access) ? services.access(request, by) : null;
    case "data-notification-confirm":
      return "nothing";
    default:
      return null;
  }
}

/** Lists, and requests that come in blocks. */
function isFormNegotiated(
  { apdu, kind }: { readonly apdu: string; readonly kind: string },
  negotiated: (bit: number) => boolean,
): boolean {
  if (kind.includes("list") && !negotiated(CONFORMANCE.multipleReferences)) return false;
  if (!kind.includes("block")) return true;
  return negotiated(
    apdu === "set-request" ? CONFORMANCE.blockTransferWithSet : CONFORMANCE.blockTransferWithAction,
  );
}
