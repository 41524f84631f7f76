import { Command } from "commander";
import { type ClockReading, ClockUnreadable, readClock } from "../commands/clock-reading.ts";
import { type ClockOutcome, judgeClock, keepClock } from "../commands/set-clock.ts";
import { DataMismatch } from "../dlms/cosem/classes/data-codec.ts";
import { EXIT, UserError } from "../exit.ts";
import { storedCommandLog } from "../storage/meter-commands.ts";
import { timeText } from "./decode/tree.ts";
import type { Program } from "./program.ts";
import { clientSapOf, withMeter, zoneOfMeter } from "./with-meter.ts";

interface Options {
  readonly client: string;
  readonly set?: true;
  readonly force?: true;
  readonly json?: true;
}

/** `hes clock METER`: a meter's clock against this machine's, and set where it is told to. */
export function clockCommand(program: Program): Command {
  return new Command("clock")
    .description(
      "Read a meter's clock, compare it with this machine's, and set it within the limits of clock.*",
    )
    .argument("<meter>", "number, id, system title or logical device name")
    .option(
      "--set",
      "set it where it is off by more than clock.tolerance_seconds and no more than clock.step_max_seconds",
    )
    .option("--force", "with --set: also where it is off by more, or has no time")
    .option("--client <sap>", "client SAP of the association; for --set one that may write the clock", "48")
    .option("--json", "for scripts")
    .action((name: string, options: Options) =>
      withMeter(program, name, async (session) => {
        if (options.force && !options.set) throw new UserError(EXIT.usage, "--force is for --set");
        const zone = zoneOfMeter(session);
        const association = await session.associate(clientSapOf(options.client));
        const limits = session.config.clock;
        const outcome = await told(async (): Promise<ClockOutcome> => {
          if (options.set) {
            const log = storedCommandLog(session.database);
            return keepClock({
              ...{ association, zone, limits, log, now: Date.now },
              force: options.force ?? false,
            });
          }
          const before = await readClock(association, zone, Date.now);
          return { before, verdict: judgeClock(before, limits), set: null };
        });
        program.print(options.json ? JSON.stringify(outcomeJson(outcome)) : outcomeText(outcome, options));
        const isWell =
          outcome.set === null ? outcome.verdict === "in-order" : outcome.set.state === "verified";
        if (!isWell) program.finish(EXIT.data);
      }),
    );
}

async function told<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof ClockUnreadable) throw new UserError(EXIT.unavailable, error.message);
    if (error instanceof DataMismatch) {
      throw new UserError(EXIT.data, `the meter's clock gave something else than a time: ${error.message}`);
    }
    throw error;
  }
}

const readingJson = ({ time, offsetMs, uncertaintyMs }: ClockReading) => ({
  time: timeText(time),
  offset_seconds: offsetMs === null ? null : offsetMs / 1000,
  uncertainty_seconds: uncertaintyMs / 1000,
});

function outcomeJson({ before, verdict, set }: ClockOutcome) {
  return {
    before: readingJson(before),
    verdict,
    set:
      set === null
        ? null
        : { state: set.state, reason: set.reason, after: set.after === null ? null : readingJson(set.after) },
  };
}

function outcomeText({ before, verdict, set }: ClockOutcome, { set: asked }: Options): string {
  const lines = [`The meter's clock says ${timeText(before.time)}: ${offsetText(before)}.`];
  if (set !== null) {
    const after =
      set.after === null ? "" : ` It says ${timeText(set.after.time)} now: ${offsetText(set.after)}.`;
    lines.push(
      set.state === "verified"
        ? `It was set.${after}`
        : `Setting it: ${set.state}${set.reason === null ? "" : `, ${set.reason}`}.${after}`,
    );
  } else if (verdict !== "in-order") {
    lines.push(LEFT_ALONE[verdict](asked === true));
  } else if (asked) lines.push("That is within clock.tolerance_seconds: it was not set.");
  return lines.join("\n");
}

const LEFT_ALONE: Readonly<Record<Exclude<ClockOutcome["verdict"], "in-order">, (asked: boolean) => string>> =
  {
    "to-be-set": () => "That is more than clock.tolerance_seconds: --set sets it.",
    "too-far": (asked) =>
      `That is more than clock.step_max_seconds${asked ? "; it was not set" : ""}: look at both clocks, then --set --force.`,
    unspecified: (asked) =>
      `It has no time that could be compared${asked ? "; it was not set" : ""}: --set --force sets it.`,
  };

function offsetText({ offsetMs, uncertaintyMs }: ClockReading): string {
  if (offsetMs === null) return "no date and time";
  const seconds = (Math.abs(offsetMs) / 1000).toFixed(1);
  const direction = offsetMs < 0 ? "behind" : "ahead of";
  return `${seconds} s ${direction} this machine, give or take ${(uncertaintyMs / 1000).toFixed(1)} s`;
}
