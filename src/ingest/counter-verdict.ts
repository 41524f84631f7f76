import {
  acceptCounter,
  type CounterState,
  judgeCounter,
  rememberDigest,
} from "../dlms/security/invocation-counter.ts";
import type { CounterMove, QuarantineReason } from "../storage/accepted-push.ts";
import type { MeterRecord } from "../storage/meter-record.ts";
import type { Protection } from "./accepted.ts";
import type { Arrival } from "./arrival.ts";
import { RefusedError } from "./refused-error.ts";

export type CounterOutcome =
  | { readonly kind: "retransmission" }
  /** `move` null: the counter stays where it is. */
  | {
      readonly kind: "fresh";
      readonly move: CounterMove | null;
      readonly quarantine: QuarantineReason | null;
    };

const UNMOVED: CounterOutcome = { kind: "fresh", move: null, quarantine: null };

/**
 * Judges a frame's counter and, where the frame is accepted, moves it in memory. To be called last: what is judged here is stored.
 * Throws RefusedError `replay`.
 */
export function judge(
  { meter, protection }: { readonly meter: MeterRecord; readonly protection: Protection | null },
  state: CounterState | null,
  how: {
    readonly arrival: Arrival;
    readonly named: boolean;
    readonly counterJumpMax: number;
    readonly isFinal: boolean;
  },
): CounterOutcome {
  if (protection === null || state === null) return UNMOVED;
  const { name, counter, digest, verified } = protection;
  const mayStandStill = meter.counterMayStandStill;
  const verdict = judgeCounter(state, counter, digest, { mayStandStill });
  if (verdict === "retransmission" || isRemembered(state, protection)) return { kind: "retransmission" };
  if (verdict === "replay") {
    if (how.arrival.counterRule === "kept") {
      remember(state, protection);
      return UNMOVED;
    }
    const text = `${meter.meterNumber}: counter ${counter} is not above ${state.high}, which was accepted`;
    throw new RefusedError("replay", text, meter.id);
  }
  const { high } = state;
  if (!verified && high !== null && counter - high > how.counterJumpMax) {
    remember(state, protection);
    const text = `without a tag, the counter jumps from ${high} to ${counter}`;
    return { kind: "fresh", move: null, quarantine: { reason: "counter_jump", text } };
  }
  // A counter that no tag vouches for moves only for a body that names its meter.
  if (!verified && !how.named) {
    remember(state, protection);
    return UNMOVED;
  }
  acceptCounter(state, counter, digest);
  if (high !== null && counter <= high) return UNMOVED;
  const move = { meterId: meter.id, name, counter, digest, isFinal: how.isFinal };
  return { kind: "fresh", move, quarantine: null };
}

function remember(state: CounterState, { counter, digest }: Protection): void {
  rememberDigest(state, { counter, digest });
}

/** Frames that were accepted without moving the counter are told by their digests alone. */
function isRemembered(state: CounterState, { verified, digest }: Protection): boolean {
  if (verified) return false;
  return state.digests.some((accepted) => accepted.digest === digest);
}
