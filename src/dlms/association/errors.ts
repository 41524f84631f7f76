/**
 * The other side broke the rules, or it isn't who it should be. The reason is one of the closed list of refusals.
 */
export class PeerProtocolError extends Error {
  readonly reason: PeerProtocolReason;

  constructor(reason: PeerProtocolReason, text: string, options?: ErrorOptions) {
    super(text, options);
    this.name = "PeerProtocolError";
    this.reason = reason;
  }
}

export type PeerProtocolReason =
  | "malformed"
  | "limit"
  | "unsupported"
  | "identity_mismatch"
  | "plaintext_refused"
  | "weak_protection"
  | "wrong_suite"
  | "bad_tag"
  | "replay"
  | "key_missing"
  | "association_refused"
  | "hls_failed";

/** We broke the rules: a mistake of the caller. */
export class LocalProtocolError extends Error {
  constructor(text: string) {
    super(text);
    this.name = "LocalProtocolError";
  }
}

/** The other side does not answer. */
export class SilenceError extends Error {
  constructor(text: string) {
    super(text);
    this.name = "SilenceError";
  }
}
