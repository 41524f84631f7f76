import type { DataLimits } from "../encoding/data-types.ts";
import type { Apdu } from "../xdlms/apdu.ts";
import { PeerProtocolError } from "./errors.ts";
import type { ReadProgress, Rejected } from "./requests.ts";

/**
 * A service as the client sees it: yields a request and is given the answer, until it has its result. How requests are protected, cut
 * and repeated is none of its concern.
 */
export type Exchange<T> = Generator<Apdu, T, Apdu>;

/** What was agreed on with the meter, and what is known of its kind. */
export interface ServiceMeans {
  readonly conformance: number;
  /** Octets that a request in clear may have. */
  readonly requestOctetsMax: number;
  readonly limits: DataLimits;
  /** Octets of an answer that is put together from blocks. */
  readonly bytesMax: number;
  readonly quirks: MeterQuirks;
  /** Invoke-id-and-priority of the next request: confirmed, high priority. */
  readonly nextInvokeId: () => number;
  readonly onProgress: (progress: ReadProgress) => void;
}

/** What meters of a type refuse although they have agreed on it; found out by trying. */
export type Quirk = "get_list_refused" | "set_list_refused" | "action_list_refused" | "access_refused";

/** Grows as more is found out. */
export type MeterQuirks = Set<Quirk>;

/** null where the answer isn't a refusal of the service as such. */
export function rejection(response: Apdu): Rejected | null {
  const refusal = response.apdu === "exception-response" || response.apdu === "confirmed-service-error";
  return refusal ? { kind: "rejected", response } : null;
}

export function unexpected(response: Apdu, wanted: string): PeerProtocolError {
  const kind = "kind" in response ? ` (${response.kind})` : "";
  return new PeerProtocolError(
    "malformed",
    `the meter answers with ${response.apdu}${kind} in place of ${wanted}`,
  );
}
