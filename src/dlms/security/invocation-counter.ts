import { hash } from "node:crypto";

/** How many accepted frames are remembered per counter. */
export const DIGESTS_KEPT = 64;
const DIGEST_OCTETS = 16;

/**
 * First 16 octets of SHA-256 over a protected APDU, what tells a retransmission from a replay; as Latin-1, an octet a character: 64 are kept a
 * counter, they are compared and looked up, and a Buffer takes ten times the memory of a text.
 */
export type FrameDigest = string;

export interface AcceptedDigest {
  readonly counter: number;
  readonly digest: FrameDigest;
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

export function frameDigest(protectedApdu: Buffer): FrameDigest {
  // "binary" is what Node's types call Latin-1 here.
  return hash("sha256", protectedApdu, "binary").slice(0, DIGEST_OCTETS);
}

/**
 * A verdict, and no more: nothing moves until `acceptCounter`, which belongs behind the check of the tag. With
 * `mayStandStill`, for meters that send one counter for ever, the highest counter on other octets is fresh.
 */
export function judgeCounter(
  state: CounterState,
  counter: number,
  digest: FrameDigest,
  options: { readonly mayStandStill?: boolean } = {},
): CounterVerdict {
  if (state.high === null || counter > state.high) return "fresh";
  const known = state.digests.some((accepted) => accepted.counter === counter && accepted.digest === digest);
  if (known) return "retransmission";
  return options.mayStandStill === true && counter === state.high ? "fresh" : "replay";
}

/** Remembers an accepted frame. The highest counter never goes back. */
export function acceptCounter(state: CounterState, counter: number, digest: FrameDigest): void {
  if (state.high === null || counter > state.high) state.high = counter;
  rememberDigest(state, { counter, digest });
}

/** Remembers a frame that leaves the highest counter where it is. */
export function rememberDigest({ digests }: CounterState, accepted: AcceptedDigest): void {
  digests.push(accepted);
  if (digests.length > DIGESTS_KEPT) digests.shift();
}
