import { createSecretKey, type KeyObject } from "node:crypto";

/** A key or a secret: never octets from where it was loaded to where it is used. */
export type SecretKey = KeyObject;

export function secretKey(octets: Buffer): SecretKey {
  return createSecretKey(octets);
}
