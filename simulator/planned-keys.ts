import { createHash } from "node:crypto";
import type { SecuritySuite } from "../src/dlms/security/security-control.ts";

/** Keys for one association or for all: 16 octets, 32 in suite 2. */
export interface KeyPair {
  readonly guek: Buffer;
  /** null where nothing is authenticated. */
  readonly gak: Buffer | null;
}

export interface PlannedKeysOptions {
  readonly seed: number;
  readonly meterNumber: string;
  readonly suite: SecuritySuite;
  readonly authenticates: boolean;
  /** Every association that proves who asks has keys of its own. */
  readonly perClient: boolean;
}

/**
 * Keys, passwords and secrets that a meter comes with. They follow from its seed and its number, so they are made anew when they are asked
 * for. Simulated meters guard nothing.
 */
export class PlannedKeys implements KeyPair {
  readonly #options: PlannedKeysOptions;

  constructor(options: PlannedKeysOptions) {
    this.#options = options;
  }

  get guek(): Buffer {
    return this.#key("guek");
  }

  get gak(): Buffer | null {
    return this.#options.authenticates ? this.#key("gak") : null;
  }

  /** Wraps keys that a head-end transfers. */
  get master(): Buffer {
    return this.#key("master");
  }

  /** Password or HLS secret of a client: 16 characters, as makers print them. */
  secretOf(clientSap: number): string {
    return this.#digest(`secret ${clientSap}`).toString("hex").slice(0, 16);
  }

  /** Of a client that proves who it is; null: it has the meter's. */
  ofClient(clientSap: number): KeyPair | null {
    if (!this.#options.perClient) return null;
    return { guek: this.#key(`guek ${clientSap}`), gak: this.#key(`gak ${clientSap}`) };
  }

  #key(purpose: string): Buffer {
    return this.#digest(purpose).subarray(0, this.#options.suite === 2 ? 32 : 16);
  }

  #digest(purpose: string): Buffer {
    const { seed, meterNumber } = this.#options;
    return createHash("sha256").update(`${seed}/${meterNumber}/${purpose}`).digest();
  }
}
