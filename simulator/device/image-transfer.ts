import type { Data } from "../../src/dlms/encoding/data-types.ts";
import type { ActionResult } from "../../src/dlms/xdlms/result-codes.ts";

const BLOCK_OCTETS = 200;
/** image_transfer_status */
const STATUS = { idle: 0, initiated: 1, verified: 3, verificationFailed: 4, activated: 6 } as const;

/** Image transfer (class 18): the blocks are counted, not kept; an image whose blocks have all come is a right one. */
export class ImageTransfer {
  #identifier = Buffer.alloc(0);
  #octets = 0;
  #received: boolean[] = [];
  #status: number = STATUS.idle;

  /** What a meter says to which no image was ever sent; null: static. */
  static idle(index: number): Data | null {
    return new ImageTransfer().attribute(index);
  }

  attribute(index: number): Data | null {
    switch (index) {
      case 3:
        return { type: "bit-string", value: this.#bits() };
      case 4: {
        const missing = this.#received.indexOf(false);
        return { type: "double-long-unsigned", value: missing < 0 ? this.#received.length : missing };
      }
      case 6:
        return { type: "enum", value: this.#status };
      case 7:
        return { type: "array", value: this.#status === STATUS.verified ? [this.#toActivate()] : [] };
      default:
        return null;
    }
  }

  invoke(method: number, parameters: Data | null): ActionResult {
    if (method === 1) return this.#initiate(parameters);
    if (method === 2) return this.#block(parameters);
    const complete = this.#received.length > 0 && !this.#received.includes(false);
    if (method === 3) {
      this.#status = complete ? STATUS.verified : STATUS.verificationFailed;
      return complete ? "success" : "other-reason";
    }
    if (this.#status !== STATUS.verified) return "temporary-failure";
    this.#status = STATUS.activated;
    return "success";
  }

  #initiate(parameters: Data | null): ActionResult {
    const [identifier, size] = parameters?.type === "structure" ? parameters.value : [];
    if (!Buffer.isBuffer(identifier?.value) || typeof size?.value !== "number") return "type-unmatched";
    this.#identifier = Buffer.from(identifier.value);
    this.#octets = size.value;
    this.#received = new Array<boolean>(Math.ceil(size.value / BLOCK_OCTETS)).fill(false);
    this.#status = STATUS.initiated;
    return "success";
  }

  #block(parameters: Data | null): ActionResult {
    const [number, block] = parameters?.type === "structure" ? parameters.value : [];
    if (typeof number?.value !== "number" || !Buffer.isBuffer(block?.value)) return "type-unmatched";
    if (this.#status === STATUS.idle || number.value >= this.#received.length)
      return "data-block-unavailable";
    this.#received[number.value] = true;
    return "success";
  }

  #bits(): { length: number; octets: Buffer } {
    const octets = Buffer.alloc(Math.ceil(this.#received.length / 8));
    this.#received.forEach((received, block) => {
      if (received) octets[block >> 3]! |= 0x80 >> (block & 7);
    });
    return { length: this.#received.length, octets };
  }

  #toActivate(): Data {
    return {
      type: "structure",
      value: [
        { type: "double-long-unsigned", value: this.#octets },
        { type: "octet-string", value: this.#identifier },
        { type: "octet-string", value: Buffer.alloc(0) },
      ],
    };
  }
}
