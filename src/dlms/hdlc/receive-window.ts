import { sendSequence } from "./control.ts";
import type { HdlcFrame } from "./frame.ts";
import { llcOctets } from "./segments.ts";

/** What an I frame was, and the APDU that it completed. */
export type Received =
  | { readonly kind: "apdu"; readonly apdu: Buffer }
  /** Taken; more segments follow. */
  | { readonly kind: "segment" }
  /** It was there already. */
  | { readonly kind: "repeated" }
  /** One before it is missing. */
  | { readonly kind: "gap" }
  | { readonly kind: "limit" };

/** Takes I frames in their order, and their segments together to APDUs without LLC header. */
export class ReceiveWindow {
  readonly #apduOctetsMax: number;
  #next = 0;
  #parts: Buffer[] = [];
  #octets = 0;

  constructor(apduOctetsMax: number) {
    this.#apduOctetsMax = apduOctetsMax;
  }

  /** V(R): the number that is expected, and that everything before has arrived. */
  get next(): number {
    return this.#next;
  }

  /** `window`: frames that the other side may send at once. Fewer than that ahead, a frame is missing; else it came before. */
  take(frame: HdlcFrame, window: number): Received {
    const ahead = (sendSequence(frame.control) - this.#next) & 7;
    if (ahead !== 0) return { kind: ahead < window ? "gap" : "repeated" };
    const information = frame.information ?? Buffer.alloc(0);
    if (this.#octets + information.length > this.#apduOctetsMax) return { kind: "limit" };
    this.#next = (this.#next + 1) & 7;
    // A copy: the deframer's views last until more is received.
    this.#parts.push(Buffer.from(information));
    this.#octets += information.length;
    if (frame.segmented) return { kind: "segment" };
    const whole = this.#parts.length === 1 ? this.#parts[0]! : Buffer.concat(this.#parts, this.#octets);
    this.#parts = [];
    this.#octets = 0;
    return { kind: "apdu", apdu: whole.subarray(llcOctets(whole)) };
  }

  clear(): void {
    this.#next = 0;
    this.#parts = [];
    this.#octets = 0;
  }
}
