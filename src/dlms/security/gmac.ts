import { timingSafeEqual } from "node:crypto";
import { SecurityError } from "./errors.ts";
import {
  HEADER_OCTETS,
  type ProtectionKeys,
  protect,
  readSecurityHeader,
  type SecurityHeader,
  TAG_OCTETS,
} from "./protection.ts";
import { AUTHENTICATED, protectionOf, type SecuritySuite } from "./security-control.ts";

/**
 * f(challenge) of HLS mechanism 5 (Green Book 9.2.7.4): security control 10 + suite ‖ invocation counter ‖ tag over
 * control ‖ authentication key ‖ challenge. 17 octets. `systemTitle` is that of the side that answers.
 */
export function gmac(
  challenge: Buffer,
  { suite, counter }: { readonly suite: SecuritySuite; readonly counter: number },
  systemTitle: Buffer,
  keys: ProtectionKeys,
): Buffer {
  const message = protect(challenge, { control: AUTHENTICATED | suite, counter }, systemTitle, keys);
  return Buffer.concat([message.subarray(0, HEADER_OCTETS), message.subarray(message.length - TAG_OCTETS)]);
}

/**
 * Checks the other side's answer and returns its security header.
 * @throws SecurityError `malformed`, `bad_tag`, or as `unprotect` does
 */
export function verifyGmac(
  answer: Buffer,
  challenge: Buffer,
  systemTitle: Buffer,
  keys: ProtectionKeys,
): SecurityHeader {
  const header = readSecurityHeader(answer);
  if (answer.length !== HEADER_OCTETS + TAG_OCTETS || protectionOf(header.control) !== AUTHENTICATED) {
    throw new SecurityError("malformed", "answer to the challenge is not control, counter and tag");
  }
  const message = protect(challenge, header, systemTitle, keys);
  const tag = message.subarray(message.length - TAG_OCTETS);
  if (!timingSafeEqual(tag, answer.subarray(HEADER_OCTETS))) {
    throw new SecurityError("bad_tag", "answer to the challenge is wrong");
  }
  return header;
}
