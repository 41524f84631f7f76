import type { ZoneRule } from "../dlms/encoding/date-time.ts";
import type { Origin } from "./rows.ts";

/** Whose push it is and how it came. */
export interface PushOrigin {
  readonly meterId: string;
  readonly zone: ZoneRule;
  readonly origin: Origin;
  readonly receivedAtMs: number;
  /** The time in the notification itself. */
  readonly notifiedAtMs: number | null;
}

/** An event status word that a push carried; what it means depends on the one before. */
export interface StatusWord {
  readonly timeMs: number;
  readonly code: string;
  readonly codeId: number;
  /** `0` and `1`, first on the wire first. */
  readonly bits: string;
}

/** When a row was captured, and what the meter said of its clock. */
export interface RowTime {
  readonly ms: number;
  readonly status: number | null;
  /** Minutes, as sent. */
  readonly deviation: number | null;
}
