import { createCipheriv, createDecipheriv, createSecretKey, type KeyObject } from "node:crypto";
import { SecurityError } from "./errors.ts";

/** RFC 3394, 2.2.3.1: what an unwrapped key is recognised by. */
const INITIAL_VALUE = Buffer.from("A6A6A6A6A6A6A6A6", "hex");

function algorithm(keyEncryptionKey: KeyObject): string {
  const octets = keyEncryptionKey.symmetricKeySize;
  if (octets !== 16 && octets !== 32) {
    throw new SecurityError("wrong_suite", `a key-encryption key has 16 or 32 octets, this one ${octets}`);
  }
  return octets === 16 ? "id-aes128-wrap" : "id-aes256-wrap";
}

/**
 * A key as it is transferred to a meter (RFC 3394): 8 octets longer than the key.
 * @throws SecurityError `wrong_suite`
 */
export function wrapKey(keyEncryptionKey: KeyObject, key: KeyObject): Buffer {
  const cipher = createCipheriv(algorithm(keyEncryptionKey), keyEncryptionKey, INITIAL_VALUE);
  return Buffer.concat([cipher.update(key.export()), cipher.final()]);
}

/** @throws SecurityError `bad_tag` where the key-encryption key is another one, `malformed` for a wrong length */
export function unwrapKey(keyEncryptionKey: KeyObject, wrapped: Buffer): KeyObject {
  if (wrapped.length !== 24 && wrapped.length !== 40) {
    throw new SecurityError("malformed", `a wrapped key has 24 or 40 octets, this one ${wrapped.length}`);
  }
  const decipher = createDecipheriv(algorithm(keyEncryptionKey), keyEncryptionKey, INITIAL_VALUE);
  try {
    return createSecretKey(Buffer.concat([decipher.update(wrapped), decipher.final()]));
  } catch {
    throw new SecurityError("bad_tag", "wrapped key can't be unwrapped: another key-encryption key");
  }
}
