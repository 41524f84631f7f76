import { createSecretKey, type KeyObject } from "node:crypto";
import type { Data } from "../../src/dlms/encoding/data-types.ts";
import { SecurityError } from "../../src/dlms/security/errors.ts";
import { unwrapKey } from "../../src/dlms/security/key-wrap.ts";
import type { ProtectionKeys } from "../../src/dlms/security/protection.ts";
import type { ActionResult } from "../../src/dlms/xdlms/result-codes.ts";
import { protectionKeys } from "../envelope.ts";
import type { PlannedKeys } from "../planned-keys.ts";

/** Identifiers of key_transfer (class 64, method 2). */
const KEY_NAMES = ["guek", "gbek", "gak", "master"] as const;
type KeyName = (typeof KEY_NAMES)[number];

/** A meter's own keys, which change when a head-end transfers others. */
export class MeterKeys {
  readonly #planned: PlannedKeys;
  /** One that was transferred; null: the planned one. */
  #master: KeyObject | null = null;
  #protection: ProtectionKeys;

  constructor(planned: PlannedKeys) {
    this.#planned = planned;
    this.#protection = protectionKeys(planned);
  }

  get protection(): ProtectionKeys {
    return this.#protection;
  }

  /** `array of structure { key_id, key_wrapped }`: takes all of them, or none. */
  transfer(parameters: Data | null): ActionResult {
    if (parameters?.type !== "array") return "type-unmatched";
    const given = new Map<KeyName, KeyObject>();
    for (const pair of parameters.value) {
      if (pair.type !== "structure") return "type-unmatched";
      const [id, wrapped] = pair.value;
      const name = id?.type === "enum" ? KEY_NAMES[id.value] : undefined;
      if (name === undefined || wrapped?.type !== "octet-string") return "type-unmatched";
      const key = this.#unwrapped(wrapped.value);
      if (key === null) return "other-reason";
      given.set(name, key);
    }
    const { encryption, authentication } = this.#protection;
    this.#protection = {
      encryption: given.get("guek") ?? encryption,
      authentication: given.get("gak")?.export() ?? authentication,
    };
    this.#master = given.get("master") ?? this.#master;
    return "success";
  }

  #unwrapped(octets: Buffer): KeyObject | null {
    try {
      return unwrapKey(this.#master ?? createSecretKey(this.#planned.master), octets);
    } catch (error) {
      if (error instanceof SecurityError) return null;
      throw error;
    }
  }
}
