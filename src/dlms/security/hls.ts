import { createCipheriv, createSecretKey, hash, type KeyObject, timingSafeEqual } from "node:crypto";
import { SecurityError } from "./errors.ts";

/**
 * f(challenge) of the HLS mechanisms that need nothing but a secret and the challenges (Green Book 9.2.7.4). For mechanism 5 see
 * gmac.ts.
 *
 * | | |
 * |---|---|
 * | 2 | AES-128-ECB with the secret as key, as Indian meters do it; secret and challenge filled up with zeros to 16 octets |
 * | 3 | MD5(challenge ‖ secret) |
 * | 4 | SHA-1(challenge ‖ secret) |
 * | 6 | SHA-256(secret ‖ title of who answers ‖ title of the other ‖ challenge ‖ the answerer's own challenge) |
 *
 * Mechanism 2, secret "0123456789ABCDEF", challenge "ServerChallenge1" → 99F1FF8EF09980A5D81FBDAF55433652.
 */
export type SecretMechanism = 2 | 3 | 4 | 6;

export interface Challenges {
  /** The one that is answered. */
  readonly received: Buffer;
  /** The one that the answering side has sent. */
  readonly sent: Buffer;
  /** System titles of the answering side and of the other; only mechanism 6 uses them. */
  readonly ownTitle: Buffer;
  readonly peerTitle: Buffer;
}

const BLOCK = 16;

export function hlsAnswer(mechanism: SecretMechanism, secret: KeyObject, challenges: Challenges): Buffer {
  const { received, sent, ownTitle, peerTitle } = challenges;
  const octets = secret.export();
  try {
    switch (mechanism) {
      case 2:
        return encrypted(octets, received);
      case 3:
        return hash("md5", Buffer.concat([received, octets]), "buffer");
      case 4:
        return hash("sha1", Buffer.concat([received, octets]), "buffer");
      case 6:
        return hash("sha256", Buffer.concat([octets, ownTitle, peerTitle, received, sent]), "buffer");
    }
  } finally {
    octets.fill(0);
  }
}

/** @throws SecurityError `bad_tag` where the other side's answer is wrong */
export function verifyHlsAnswer(
  mechanism: SecretMechanism,
  secret: KeyObject,
  answer: Buffer,
  expected: Challenges,
): void {
  const right = hlsAnswer(mechanism, secret, expected);
  if (answer.length !== right.length || !timingSafeEqual(answer, right)) {
    throw new SecurityError("bad_tag", "answer to the challenge is wrong");
  }
}

/** Whether a password is the right one, in a time that doesn't tell how much of it is. */
export function isSecret(secret: KeyObject, given: Buffer): boolean {
  if (given.length === 0) return false;
  const key = createSecretKey(given);
  return secret.equals(key);
}

function encrypted(secret: Buffer, challenge: Buffer): Buffer {
  if (secret.length > BLOCK) {
    throw new SecurityError("unsupported", `a secret of HLS mechanism 2 has at most ${BLOCK} octets`);
  }
  const key = Buffer.alloc(BLOCK);
  secret.copy(key);
  const padded = Buffer.alloc(Math.ceil(challenge.length / BLOCK) * BLOCK);
  challenge.copy(padded);
  const cipher = createCipheriv("aes-128-ecb", key, null);
  cipher.setAutoPadding(false);
  const answer = cipher.update(padded);
  key.fill(0);
  return answer;
}
