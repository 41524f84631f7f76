import type { KeyObject } from "node:crypto";
import { SecurityError } from "../dlms/security/errors.ts";
import { unwrapKey } from "../dlms/security/key-wrap.ts";
import type { KeyInfo } from "../dlms/xdlms/ciphered.ts";

/** Keys that general-ciphering may name; null where there is none. */
export interface NameableKeys {
  readonly unicast: KeyObject | null;
  readonly broadcast: KeyObject | null;
  readonly master: KeyObject | null;
}

const UNICAST = 0;
const BROADCAST = 1;
const MASTER = 0;

/**
 * The key with which the content of general-ciphering is encrypted: one that both sides know, or one that came along, wrapped with the
 * master key.
 * @throws SecurityError `key_missing`, `unsupported`, `bad_tag`, `malformed`
 */
export function contentKey(info: KeyInfo | null, keys: NameableKeys): KeyObject {
  if (info === null || (info.kind === "identified-key" && info.keyId === UNICAST)) {
    return present(keys.unicast, "the global unicast key");
  }
  if (info.kind === "identified-key") {
    if (info.keyId === BROADCAST) return present(keys.broadcast, "the global broadcast key");
    throw new SecurityError("malformed", `${info.keyId} identifies no key`);
  }
  if (info.kind === "agreed-key") {
    throw new SecurityError("unsupported", "the APDU is ciphered with an agreed key, which is not supported");
  }
  if (info.keyEncryptionKeyId !== MASTER) {
    throw new SecurityError("malformed", `${info.keyEncryptionKeyId} identifies no key-encryption key`);
  }
  return unwrapKey(present(keys.master, "the master key"), info.cipheredKey);
}

function present(key: KeyObject | null, name: string): KeyObject {
  if (key === null) throw new SecurityError("key_missing", `the APDU needs ${name}`);
  return key;
}
