import { createSecretKey } from "node:crypto";
import type { SentCounter } from "../../src/dlms/association/protection.ts";
import { ReceivedCounter } from "../../src/dlms/association/protection.ts";

/** The keys of DLMS-FACTS section 19: a client 4D4D4D0000BC614E and a server 4142430000000001. */
export const EK = createSecretKey(Buffer.from("000102030405060708090A0B0C0D0E0F", "hex"));
export const AK = createSecretKey(Buffer.from("D0D1D2D3D4D5D6D7D8D9DADBDCDDDEDF", "hex"));
export const CLIENT_TITLE = Buffer.from("4D4D4D0000BC614E", "hex");
export const SERVER_TITLE = Buffer.from("4142430000000001", "hex");
export const LIMITS = { depthMax: 16, elementsMax: 200_000 };

export const hex = (text: string) => Buffer.from(text.replace(/\s/g, ""), "hex");
export const secret = (text: string) => createSecretKey(Buffer.from(text, "latin1"));

/** Counts up from `first`. */
export function counting(first: number): SentCounter {
  let next = first;
  return { take: () => next++ };
}

export const suite0 = (first: number, required = 0x30) => ({
  suite: 0 as const,
  keys: { encryption: EK, authentication: AK },
  sent: counting(first),
  received: new ReceivedCounter(),
  required,
});
