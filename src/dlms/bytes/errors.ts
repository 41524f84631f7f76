/** Why octets could not be decoded. `truncated` means that more octets would have been needed. */
export type DecodeErrorCode = "truncated" | "invalid" | "limit" | "trailing";

/** Octets that are not what the standard says they must be. Never thrown for a lack of keys or for a refusal. */
export class DecodeError extends Error {
  readonly code: DecodeErrorCode;
  /** Offset in octets, from the start of the buffer that was being read. */
  readonly offset: number;

  constructor(code: DecodeErrorCode, offset: number, text: string) {
    super(text);
    this.name = "DecodeError";
    this.code = code;
    this.offset = offset;
  }
}
