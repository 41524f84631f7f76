import { createSecretKey, type KeyObject } from "node:crypto";

/** What ciphered APDUs are opened with; empty where nothing was given. */
export interface DecodeKeys {
  readonly encryption: KeyObject | null;
  readonly authentication: Buffer | null;
  /** Of the originator, where the APDU does not carry it. */
  readonly systemTitle: Buffer | null;
}

export const NO_KEYS: DecodeKeys = { encryption: null, authentication: null, systemTitle: null };

export function decodeKeys(guek: Buffer | null, gak: Buffer | null, systemTitle: Buffer | null): DecodeKeys {
  return { encryption: guek === null ? null : createSecretKey(guek), authentication: gak, systemTitle };
}
