import type { MeterPlan } from "./identity.ts";
import type { PushContent } from "./push-body.ts";

/** What a station makes push: a meter, or the customer interface of one. Times by its own clock, epoch ms. */
export interface PushSource {
  readonly plan: MeterPlan;
  /** When it has something to push next. */
  readonly dueMs: number;
  /** What it pushes at `dueMs`, in order. */
  next(): PushContent[];
  /** Its clock jumps ahead, or its power is back: what it would have captured in between it never captures. */
  skipTo(nowMs: number): void;
  /** Last gasp. `nowMs` is a full second, here and below. */
  powerFails(nowMs: number): PushContent[];
  /** First breath. */
  powerReturns(nowMs: number): PushContent[];
}
