import { createHash, createSecretKey, type KeyObject } from "node:crypto";
import { EXIT, UserError } from "../exit.ts";

/** A key that seals other keys; 256 bits. */
export interface KeyEncryptionKey {
  /** First 8 octets of SHA-256 over the key, in hex: tells which key an envelope needs without telling the key. */
  readonly id: string;
  readonly key: KeyObject;
}

/**
 * Where key-encryption keys come from: a file or a systemd credential here; a vault or a security module by another implementation of
 * these two calls, see docs/operating/security.md. A rotation keeps the former keys until everything is sealed anew.
 */
export interface KekProvider {
  /** Seals new envelopes. */
  current(): KeyEncryptionKey;
  /**
   * Opens what was sealed before; null where it is not known. Neither call waits: a provider that has to fetch its keys does so before it
   * is handed out.
   */
  find(id: string): KeyEncryptionKey | null;
}

export const KEK_OCTETS = 32;

export function keyEncryptionKey(octets: Buffer): KeyEncryptionKey {
  const id = createHash("sha256").update(octets).digest("hex").slice(0, 16);
  return { id, key: createSecretKey(octets) };
}

export function kekProvider(
  current: KeyEncryptionKey,
  former: readonly KeyEncryptionKey[] = [],
): KekProvider {
  const known = new Map([current, ...former].map((kek) => [kek.id, kek]));
  return { current: () => current, find: (id) => known.get(id) ?? null };
}

/**
 * Key-encryption keys as they stand in a file or credential: 64 hex digits a line, the current one first, former ones below it.
 * @param where its name, for messages
 * @throws UserError naming the line that is something else, never what stands there
 */
export function parseKeks(text: string, where: string): KekProvider {
  const lines = text.split("\n").map((line, index) => ({ text: line.trim(), number: index + 1 }));
  const [current, ...former] = lines
    .filter((line) => line.text !== "")
    .map((line) => {
      if (/^[0-9a-fA-F]{64}$/.test(line.text)) return keyEncryptionKey(Buffer.from(line.text, "hex"));
      throw new UserError(
        EXIT.configuration,
        `${where}, line ${line.number}: a key-encryption key is ${KEK_OCTETS * 2} hex digits.`,
      );
    });
  if (current) return kekProvider(current, former);
  throw new UserError(
    EXIT.configuration,
    `${where} is empty: it must hold the key-encryption key. Restore it from its backup; a new one can't open stored keys.`,
  );
}
