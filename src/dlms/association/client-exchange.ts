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
export interface MeterQuirks {
  withListRefused: boolean;
}

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

/** Blocks of a long answer, in their order. */
export class AnswerBlocks {
  readonly #parts: Buffer[] = [];
  readonly #means: ServiceMeans;
  readonly #request: number;
  #octets = 0;

  constructor(means: ServiceMeans, request: number) {
    this.#means = means;
    this.#request = request;
  }

  /** @throws PeerProtocolError where it isn't the next one, or all together are too long */
  add(blockNumber: number, rawData: Buffer): void {
    if (blockNumber !== this.#parts.length + 1) {
      const text = `block ${blockNumber} came in place of ${this.#parts.length + 1}`;
      throw new PeerProtocolError("malformed", text);
    }
    this.#octets += rawData.length;
    if (this.#octets > this.#means.bytesMax) {
      throw new PeerProtocolError("limit", `an answer of more than ${this.#means.bytesMax} octets`);
    }
    this.#parts.push(rawData);
    this.#means.onProgress({ request: this.#request, octets: this.#octets, blocks: this.#parts.length });
  }

  get count(): number {
    return this.#parts.length;
  }

  whole(): Buffer {
    return this.#parts.length === 1 ? this.#parts[0]! : Buffer.concat(this.#parts, this.#octets);
  }
}

/** Cuts a value that is sent in blocks: the last block may be short. */
export function* cut(octets: Buffer, sizes: (first: boolean) => number) {
  for (let at = 0, blockNumber = 1; at < octets.length; blockNumber++) {
    const rawData = octets.subarray(at, at + Math.max(1, sizes(blockNumber === 1)));
    at += rawData.length;
    yield { lastBlock: at === octets.length, blockNumber, rawData };
  }
}
