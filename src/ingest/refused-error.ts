import { DecodeError } from "../dlms/bytes/errors.ts";
import { SecurityError } from "../dlms/security/errors.ts";
import type { RefusalReason } from "../refusal.ts";

/** Ends the way of a frame: it is refused for a reason of the closed list. */
export class RefusedError extends Error {
  readonly reason: RefusalReason;
  readonly meterId: string | null;
  /** Worth keeping in the ring of unknown frames: the meter or the key may yet be imported. */
  readonly keep: boolean;

  constructor(reason: RefusalReason, text: string, meterId: string | null = null, keep = false) {
    super(text);
    this.name = "RefusedError";
    this.reason = reason;
    this.meterId = meterId;
    this.keep = keep;
  }
}

/** What an error of the decoder or of the security part means for the frame; null for what is no fault of the frame. */
export function refusalOf(error: unknown): RefusedError | null {
  if (error instanceof RefusedError) return error;
  if (error instanceof SecurityError) return new RefusedError(error.reason, error.message);
  if (error instanceof DecodeError) {
    const where = `at octet ${error.offset}: ${error.message}`;
    return new RefusedError(error.code === "limit" ? "limit" : "malformed", where);
  }
  return null;
}
