import type { AccessRequest } from "../xdlms/access.ts";
import { type Exchange, rejection, type ServiceMeans, unexpected } from "./client-exchange.ts";
import { PeerProtocolError } from "./errors.ts";
import type { ReadOutcome, ReadRequest } from "./requests.ts";

/** Confirmed, high priority; the invoke id below. */
const CONFIRMED = 0x4000_0000;
const HIGH_PRIORITY = 0x8000_0000;

/** Reads attributes in one ACCESS. null where the meter refuses the service. */
export function* readByAccess(
  requests: readonly ReadRequest[],
  means: ServiceMeans,
): Exchange<ReadOutcome[] | null> {
  const specifications: AccessRequest["specifications"] = requests.map(({ attribute, selection }) =>
    selection === null || selection === undefined
      ? { kind: "get", attribute }
      : { kind: "get-with-selection", attribute, accessSelection: selection },
  );
  const response = yield {
    apdu: "access-request",
    longInvokeId: (HIGH_PRIORITY + CONFIRMED + (means.nextInvokeId() & 0x0f)) >>> 0,
    dateTime: null,
    specifications,
    data: requests.map(() => ({ type: "null-data", value: null })),
  };
  if (rejection(response) !== null) return null;
  if (response.apdu !== "access-response") throw unexpected(response, "access-response");
  const { data, results } = response;
  if (data.length !== requests.length || results.length !== requests.length) {
    throw new PeerProtocolError("malformed", `${results.length} results for ${requests.length} requests`);
  }
  return results.map((result, at) => {
    if (result.kind !== "get")
      throw new PeerProtocolError("malformed", `a result of ${result.kind} for a get`);
    return result.result === "success"
      ? { kind: "data", value: data[at]! }
      : { kind: "refused", result: result.result };
  });
}
