import { EXIT, UserError } from "../exit.ts";
import { CronError } from "../schedule/cron-times.ts";
import { ScheduleError } from "../storage/schedules.ts";
import type { Program } from "./program.ts";
import { type Session, withSession } from "./session.ts";

/** A user's mistake is a sentence with exit code 65. */
export async function withSchedules(
  program: Program,
  work: (session: Session) => Promise<void>,
): Promise<void> {
  try {
    await withSession(program, work);
  } catch (error) {
    if (error instanceof ScheduleError || error instanceof CronError)
      throw new UserError(EXIT.data, error.message, { cause: error });
    throw error;
  }
}
