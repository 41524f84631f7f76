import type { CosemMethodDescriptor } from "../cosem/attribute-descriptor.ts";
import { obisOf } from "../cosem/obis-code.ts";
import { gmac, verifyGmac } from "../security/gmac.ts";
import { type Challenges, hlsAnswer, verifyHlsAnswer } from "../security/hls.ts";
import type { SecretKey } from "../security/secret-key.ts";
import { LocalProtocolError } from "./errors.ts";
import type { Mechanism } from "./mechanisms.ts";
import type { ApduProtection } from "./protection.ts";

/** What answers to challenges are made with. */
export interface HlsMeans {
  readonly mechanism: Mechanism;
  readonly secret: SecretKey | null;
  /** For mechanism 5. */
  readonly protection: ApduProtection | null;
}

/** reply_to_HLS_authentication of the current association. */
export const REPLY_TO_HLS = {
  classId: 15,
  instanceId: obisOf(0, 0, 40, 0, 0, 255),
  methodId: 1,
} as const;

/** f(challenge) for the other side. null where no counter is reserved at the moment (mechanism 5). @throws SecurityError */
export function answerChallenge(means: HlsMeans, challenges: Challenges): Buffer | null {
  const { mechanism, secret, protection } = means;
  if (mechanism === 5) {
    if (protection === null) throw new LocalProtocolError("HLS with GMAC needs keys");
    const { keys, sent } = protection.global;
    const counter = sent.take();
    if (counter === null) return null;
    return gmac(challenges.received, { suite: protection.suite, counter }, challenges.ownTitle, keys);
  }
  if (mechanism < 2 || secret === null) throw new LocalProtocolError("HLS needs a secret");
  return hlsAnswer(mechanism as 2 | 3 | 4 | 6, secret, challenges);
}

/** `challenges`: as the other side has seen them when it answered. @throws SecurityError */
export function checkAnswer(means: HlsMeans, answer: Buffer, challenges: Challenges): void {
  const { mechanism, secret, protection } = means;
  if (mechanism === 5) {
    if (protection === null) throw new LocalProtocolError("HLS with GMAC needs keys");
    verifyGmac(answer, challenges.received, challenges.ownTitle, protection.global.keys);
    return;
  }
  if (mechanism < 2 || secret === null) throw new LocalProtocolError("HLS needs a secret");
  verifyHlsAnswer(mechanism as 2 | 3 | 4 | 6, secret, answer, challenges);
}

export function isReplyToHls({ classId, instanceId, methodId }: CosemMethodDescriptor): boolean {
  return (
    classId === REPLY_TO_HLS.classId &&
    instanceId === REPLY_TO_HLS.instanceId &&
    methodId === REPLY_TO_HLS.methodId
  );
}
