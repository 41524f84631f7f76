import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import type { KekProvider, KeyEncryptionKey } from "./kek-provider.ts";

/** What an envelope is bound to: moved to another row, it doesn't open. */
export interface KeyBinding {
  /** uuid */
  readonly meterId: string;
  readonly kind: string;
  readonly keyId: number;
  /** 16 hex digits as the meter had it when the key was sealed; null: none was known. */
  readonly systemTitle: string | null;
}

export class EnvelopeError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "EnvelopeError";
  }
}

/*
 * Octets of an envelope
 *   1       version, 1
 *   8       id of the key-encryption key
 *   12      nonce, random
 *   n       ciphertext, AES-256-GCM
 *   16      tag
 */
const VERSION = 1;
const KEK_ID = 8;
const NONCE = 12;
const TAG = 16;
const HEADER = 1 + KEK_ID + NONCE;

const additionalData = ({ meterId, kind, keyId, systemTitle }: KeyBinding) =>
  Buffer.from([meterId, kind, keyId, systemTitle ?? ""].join("|"), "utf8");

/** Which key-encryption key it was sealed with: 16 hex digits. */
const kekIdOf = (envelope: Buffer): string => envelope.toString("hex", 1, 1 + KEK_ID);

export function seal(secret: Buffer, binding: KeyBinding, kek: KeyEncryptionKey): Buffer {
  const nonce = randomBytes(NONCE);
  const cipher = createCipheriv("aes-256-gcm", kek.key, nonce, { authTagLength: TAG });
  cipher.setAAD(additionalData(binding));
  const sealed = Buffer.concat([cipher.update(secret), cipher.final()]);
  return Buffer.concat([Buffer.of(VERSION), Buffer.from(kek.id, "hex"), nonce, sealed, cipher.getAuthTag()]);
}

/** @throws EnvelopeError where it was sealed with another key-encryption key, for another row, or was changed */
export function open(envelope: Buffer, binding: KeyBinding, keks: KekProvider): Buffer {
  if (envelope.length < HEADER + TAG || envelope[0] !== VERSION) {
    throw new EnvelopeError(`Key ${binding.keyId} isn't an envelope of a known version.`);
  }
  const kekId = kekIdOf(envelope);
  const kek = keks.find(kekId);
  if (!kek) {
    throw new EnvelopeError(
      `Key ${binding.keyId} was sealed with key-encryption key ${kekId}, which is not there any more: put it back behind the current one (security.kek_file).`,
    );
  }
  const decipher = createDecipheriv("aes-256-gcm", kek.key, envelope.subarray(1 + KEK_ID, HEADER), {
    authTagLength: TAG,
  });
  decipher.setAAD(additionalData(binding));
  decipher.setAuthTag(envelope.subarray(envelope.length - TAG));
  const opened = decipher.update(envelope.subarray(HEADER, envelope.length - TAG));
  try {
    decipher.final();
  } catch {
    opened.fill(0);
    throw new EnvelopeError(`The envelope of key ${binding.keyId} was changed, or belongs to another row.`);
  }
  return opened;
}
