/**
 * Why protection could not be taken away. `replay`: the counter is one that was there before. `bad_tag`: the octets or a key are not the right ones. `wrong_suite`: the frame's suite needs
 * keys of another length. `key_missing`: authenticated, and there is no authentication key.
 */
export type SecurityErrorReason =
  | "bad_tag"
  | "wrong_suite"
  | "unsupported"
  | "malformed"
  | "key_missing"
  | "replay";

export class SecurityError extends Error {
  readonly reason: SecurityErrorReason;

  constructor(reason: SecurityErrorReason, text: string) {
    super(text);
    this.name = "SecurityError";
    this.reason = reason;
  }
}
