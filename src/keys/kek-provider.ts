import { createHash, createSecretKey, type KeyObject, randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { EXIT, UserError } from "../exit.ts";

/** A key that seals other keys; 256 bits. */
export interface KeyEncryptionKey {
  /** First 8 octets of SHA-256 over the key, in hex: tells which key an envelope needs without telling the key. */
  readonly id: string;
  readonly key: KeyObject;
}

/** Where key-encryption keys come from. A rotation keeps the former ones until everything is sealed anew. */
export interface KekProvider {
  /** Seals new envelopes. */
  current(): KeyEncryptionKey;
  /** Opens what was sealed before; null where it is not known. */
  find(id: string): KeyEncryptionKey | null;
}

const KEK_OCTETS = 32;

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
 * Reads the key-encryption keys of `path`: 64 hex digits a line, the current one first. A missing file is made, with a random key
 * and mode 0400.
 * @throws UserError where the file can't be read or holds something else
 */
export function fileKek(path: string): KekProvider {
  const text = readOrCreate(path);
  const keys = text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "")
    .map((line, index) => {
      if (!/^[0-9a-fA-F]{64}$/.test(line)) {
        throw new UserError(
          EXIT.configuration,
          `${path}, line ${index + 1}: a key-encryption key is ${KEK_OCTETS * 2} hex digits.`,
        );
      }
      return keyEncryptionKey(Buffer.from(line, "hex"));
    });
  const [current, ...former] = keys;
  if (!current) {
    throw new UserError(
      EXIT.configuration,
      `${path} is empty: it must hold the key-encryption key. Restore it from its backup; a new one can't open stored keys.`,
    );
  }
  return kekProvider(current, former);
}

function readOrCreate(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw unreadable(path, error);
  }
  try {
    mkdirSync(dirname(path), { recursive: true });
    // Exclusive: of two daemons that start together one makes it, and the other reads it.
    writeFileSync(path, `${randomBytes(KEK_OCTETS).toString("hex")}\n`, { mode: 0o400, flag: "wx" });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw unreadable(path, error);
  }
  return readFileSync(path, "utf8");
}

function unreadable(path: string, error: unknown): UserError {
  return new UserError(
    EXIT.configuration,
    `The key-encryption key ${path} can't be read or made (${(error as Error).message}): see security.kek_file.`,
    { cause: error },
  );
}
