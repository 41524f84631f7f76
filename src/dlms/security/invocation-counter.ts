import { hash } from "node:crypto";

/** How many accepted frames are remembered per counter. */
export const DIGESTS_KEPT = 64;
const DIGEST_OCTETS = 16;

export interface AcceptedDigest {
  readonly counter: number;
  /** The octets as Latin-1: there are 64 a counter, and a Buffer takes ten times the memory of a text. */
  readonly digest: string;
}

/** What is known of the counter of one key, originator and client SAP. */
export interface CounterState {
  /** Highest accepted counter; null: none yet. */
  high: number | null;
  /** Of the last accepted frames, the newest last; at most `DIGESTS_KEPT`. */
  readonly digests: AcceptedDigest[];
}

/**
 * - fresh: higher than every counter before, to be accepted once the rest is right
 * - retransmission: octet for octet a frame that was accepted; acknowledge again, apply nothing
 * - replay: an old counter on other octets, or too old to tell; a security event
 */
export type CounterVerdict = "fresh" | "retransmission" | "replay";

/** First 16 octets of SHA-256 over the protected APDU: what tells a retransmission from a replay. */
export function frameDigest(protectedApdu: Buffer): Buffer {
  return hash("sha256", protectedApdu, "buffer").subarray(0, DIGEST_OCTETS);
}

/**
 * A verdict, and no more: nothing moves until `acceptCounter`, which belongs behind the check of the tag. With
 * `mayStandStill`, for meters that send one counter for ever, the highest counter on other octets is fresh.
 */
export function judgeCounter(
  state: CounterState,
  counter: number,
  digest: Buffer,
  options: { readonly mayStandStill?: boolean } = {},
): CounterVerdict {
  if (state.high === null || counter > state.high) return "fresh";
  const text = textOfDigest(digest);
  const known = state.digests.some((accepted) => accepted.counter === counter && accepted.digest === text);
  if (known) return "retransmission";
  return options.mayStandStill === true && counter === state.high ? "fresh" : "replay";
}

/** Remembers an accepted frame. The highest counter never goes back. */
export function acceptCounter(state: CounterState, counter: number, digest: Buffer): void {
  if (state.high === null || counter > state.high) state.high = counter;
  rememberDigest(state, { counter, digest: textOfDigest(digest) });
}

/** Remembers a frame that leaves the highest counter where it is. */
export function rememberDigest({ digests }: CounterState, accepted: AcceptedDigest): void {
  digests.push(accepted);
  if (digests.length > DIGESTS_KEPT) digests.shift();
}

export const textOfDigest = (digest: Buffer): string => digest.toString("latin1");
