/** The closed list of reasons for which something received is refused: in logs, metrics and `security_events`. */
export const REFUSAL_REASONS = [
  "malformed",
  "limit",
  "unsupported",
  "unknown_meter",
  "unknown_system_title",
  "identity_mismatch",
  "plaintext_refused",
  "weak_protection",
  "wrong_suite",
  "bad_tag",
  "replay",
  "key_missing",
  "association_refused",
  "hls_failed",
  "rate_limited",
] as const;

export type RefusalReason = (typeof REFUSAL_REASONS)[number];

/** What was refused and why, as a value. `offset` is in octets of what was received, where it is known. */
export interface Refusal {
  readonly reason: RefusalReason;
  readonly text: string;
  readonly offset?: number;
}
