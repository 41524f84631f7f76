import { DecodeError } from "../bytes/errors.ts";
import { Reader } from "../bytes/reader.ts";
import { data, sequenceOf } from "../encoding/codec.ts";
import type { Data, DataLimits } from "../encoding/data-types.ts";

/** One block of an answer on its way to the client. */
export interface OutgoingBlock {
  readonly lastBlock: boolean;
  readonly blockNumber: number;
  readonly rawData: Buffer;
}

/** An answer that is longer than an APDU, as the client fetches it block by block. */
export class OutgoingBlocks {
  readonly #octets: Buffer;
  readonly #blockOctets: number;
  #offset = 0;
  #last: OutgoingBlock | null = null;

  constructor(octets: Buffer, blockOctets: number) {
    this.#octets = octets;
    this.#blockOctets = Math.max(1, blockOctets);
  }

  /**
   * The block behind the one that the client has, 0 for none; the last one again, where its request for that one came twice.
   * null where it asks for any other.
   */
  after(acknowledged: number): OutgoingBlock | null {
    const sent = this.#last?.blockNumber ?? 0;
    if (this.#last !== null && acknowledged === sent - 1) return this.#last;
    if (acknowledged !== sent || this.#last?.lastBlock) return null;
    const rawData = this.#octets.subarray(this.#offset, this.#offset + this.#blockOctets);
    this.#offset += rawData.length;
    this.#last = { lastBlock: this.#offset >= this.#octets.length, blockNumber: sent + 1, rawData };
    return this.#last;
  }
}

/** Values of a request that come in blocks. */
export class IncomingBlocks {
  readonly #octetsMax: number;
  readonly #parts: Buffer[] = [];
  #octets = 0;

  constructor(octetsMax: number) {
    this.#octetsMax = octetsMax;
  }

  add({ blockNumber, rawData }: OutgoingBlock): "taken" | "number-invalid" | "limit" {
    // Sent again because our answer was lost: it is there already.
    if (blockNumber === this.#parts.length && blockNumber > 0) return "taken";
    if (blockNumber !== this.#parts.length + 1) return "number-invalid";
    if (this.#octets + rawData.length > this.#octetsMax) return "limit";
    this.#octets += rawData.length;
    this.#parts.push(Buffer.from(rawData));
    return "taken";
  }

  /** A Data, or the list of a request with one. null where the octets make no sense. */
  values(isList: boolean, limits: DataLimits): Data[] | null {
    try {
      const reader = new Reader(Buffer.concat(this.#parts, this.#octets));
      const values = isList ? VALUE_LIST.read(reader, limits) : [data.read(reader, limits)];
      reader.expectEnd();
      return values;
    } catch (error) {
      if (error instanceof DecodeError) return null;
      throw error;
    }
  }
}

const VALUE_LIST = sequenceOf(data);
