/**
 * The states of an association and what leads from one to the next. One table for both ends: it doesn't know which of them it plays. An
 * input that a state has no entry for breaks the protocol.
 *
 * | state | |
 * |---|---|
 * | idle | none |
 * | associating | AARQ is on its way |
 * | authenticating | accepted by AARE with diagnostic 14: passes 3 and 4 of HLS are to come |
 * | associated | services may be used |
 * | releasing | RLRQ is on its way |
 */
export type AssociationState = "idle" | "associating" | "authenticating" | "associated" | "releasing";

export type AssociationInput =
  | "aarq"
  | "aare-accepted"
  | "aare-authentication-required"
  | "aare-rejected"
  /** reply_to_HLS_authentication went well at the end that checks it last. */
  | "hls-passed"
  | "hls-failed"
  | "service"
  | "rlrq"
  | "rlre"
  /** The link went, or either end gave up. */
  | "lost";

type Row = Partial<Readonly<Record<AssociationInput, AssociationState>>>;

const TRANSITIONS: Readonly<Record<AssociationState, Row>> = {
  idle: { aarq: "associating", lost: "idle" },
  associating: {
    "aare-accepted": "associated",
    "aare-authentication-required": "authenticating",
    "aare-rejected": "idle",
    lost: "idle",
  },
  authenticating: {
    "hls-passed": "associated",
    "hls-failed": "idle",
    // Either end may begin anew.
    aarq: "associating",
    rlrq: "releasing",
    lost: "idle",
  },
  associated: { service: "associated", rlrq: "releasing", aarq: "associating", lost: "idle" },
  releasing: { rlre: "idle", lost: "idle" },
};

/** Where the input leads; null: it is not allowed in this state. */
export function nextState(state: AssociationState, input: AssociationInput): AssociationState | null {
  return TRANSITIONS[state][input] ?? null;
}
