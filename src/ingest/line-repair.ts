/** Undoes what a bridge did to the octets of a line. Keeps what it needs to know between chunks. */
export interface LineRepair {
  push(chunk: Buffer): Buffer;
}

const ESCAPE = 0x7d;
const ESCAPED_BIT = 0x20;
const FLAG = 0x7e;

/**
 * Octet stuffing of asynchronous HDLC (ISO 3309 4.5.2): 7D and the octet with bit 5 inverted stand for 7E and 7D. 7D in front of a flag
 * gives up the frame, and the flag is the next one's.
 */
export class Unstuffing implements LineRepair {
  #escaped = false;

  push(chunk: Buffer): Buffer {
    const octets = Buffer.allocUnsafe(chunk.length);
    let length = 0;
    for (const octet of chunk) {
      if (this.#escaped) {
        octets[length++] = octet === FLAG ? FLAG : octet ^ ESCAPED_BIT;
        this.#escaped = false;
      } else if (octet === ESCAPE) this.#escaped = true;
      else octets[length++] = octet;
    }
    return octets.subarray(0, length);
  }
}

const CR = 0x0d;
const LF = 0x0a;

/** Adapters in text mode send 0D 0A where the meter sent 0A. */
export class TextModeRepair implements LineRepair {
  #carriageReturn = false;

  push(chunk: Buffer): Buffer {
    const octets = Buffer.allocUnsafe(chunk.length + 1);
    let length = 0;
    for (const octet of chunk) {
      if (this.#carriageReturn && octet !== LF) octets[length++] = CR;
      this.#carriageReturn = octet === CR;
      if (octet !== CR) octets[length++] = octet;
    }
    return octets.subarray(0, length);
  }
}
