import { createSecretKey, type KeyObject } from "node:crypto";

/** What ciphered APDUs are opened with; empty where nothing was given. */
export interface DecodeKeys {
  readonly encryption: KeyObject | null;
  readonly authentication: Buffer | null;
  /** Of the originator, where the APDU does not carry it. */
  readonly systemTitle: Buffer | null;
  /** Of an association, where the input does not hold the request that names it. */
  readonly dedicated: KeyObject | null;
  /** With which keys are wrapped that come along. */
  readonly master: KeyObject | null;
}

export const NO_KEYS: DecodeKeys = {
  encryption: null,
  authentication: null,
  systemTitle: null,
  dedicated: null,
  master: null,
};

export function decodeKeys(
  guek: Buffer | null,
  gak: Buffer | null,
  systemTitle: Buffer | null,
  others: { readonly dedicated: Buffer | null; readonly master: Buffer | null } = {
    dedicated: null,
    master: null,
  },
): DecodeKeys {
  const key = (octets: Buffer | null) => (octets === null ? null : createSecretKey(octets));
  const { dedicated, master } = others;
  return {
    encryption: key(guek),
    authentication: gak,
    systemTitle,
    dedicated: key(dedicated),
    master: key(master),
  };
}
