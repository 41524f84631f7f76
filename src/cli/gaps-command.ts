import { Command, Option } from "commander";
import { EXIT, UserError } from "../exit.ts";
import {
  fleetCompleteness,
  listGaps,
  overduePushes,
  reopenGaps,
  silentMeters,
} from "../storage/completeness.ts";
import { parseCount } from "./duration.ts";
import { namedMeter } from "./named-meter.ts";
import type { Program } from "./program.ts";
import { withSession } from "./session.ts";
import { instant, textTable } from "./text-table.ts";

export function gapsCommand(program: Program): Command {
  const command = new Command("gaps").description("What is missing: captures, meters, pushes");
  for (const sub of [
    listCommand(program),
    completenessCommand(program),
    silentCommand(program),
    overdueCommand(program),
    retryCommand(program),
  ]) {
    command.addCommand(sub);
  }
  return command;
}

const LIMIT = ["--limit <n>", "at most so many"] as const;

function listCommand(program: Program): Command {
  return new Command("list")
    .description("List stretches of missing captures, the latest first, and why they aren't filled")
    .option("--meter <meter_number>", "only of this meter")
    .addOption(
      new Option("--state <state>", "which of them")
        .choices(["open", "filled", "given-up", "all"])
        .default("open"),
    )
    .option(...LIMIT, parseCount(1), 100)
    .option("--json", "for scripts")
    .action((options: { meter?: string; state: string; limit: number; json?: true }) =>
      withSession(program, async ({ database }) => {
        const gaps = await listGaps(database, {
          ...(options.meter === undefined
            ? {}
            : { meterNumber: (await namedMeter(database, options.meter)).meterNumber }),
          ...(options.state === "all" ? {} : { state: options.state }),
          limit: options.limit,
        });
        if (options.json) return program.print(JSON.stringify(gaps, null, 2));
        const rows = gaps.map((gap) => ({
          meter: gap.meterNumber,
          profile: gap.profile,
          first_missing: instant(gap.firstMissing),
          last_missing: instant(gap.lastMissing),
          captures: gap.captures,
          state: gap.state,
          attempts: gap.attempts,
          reason: gap.reason,
        }));
        program.print(
          textTable(rows, options.state === "open" ? "Nothing is missing." : "There are no such gaps."),
        );
      }),
    );
}

function completenessCommand(program: Program): Command {
  return new Command("completeness")
    .description(
      "Show how much of each day's captures was here 8, 12 and 24 hours after it, against the targets",
    )
    .option("--days <n>", "so many days back", parseCount(1, 400), 7)
    .option("--json", "for scripts")
    .action((options: { days: number; json?: true }) =>
      withSession(program, async ({ database }) => {
        const days = await fleetCompleteness(database, options.days);
        if (options.json) return program.print(JSON.stringify(days, null, 2));
        const rows = days.map((day) => ({
          day: day.day,
          profile: day.profile,
          after_h: day.hours,
          expected: day.expected,
          received: day.received,
          percent: day.percent,
          target: day.target,
          met: day.met === null ? "not due" : day.met ? "yes" : "no",
        }));
        program.print(textTable(rows, "No meter owes a load profile for these days."));
      }),
    );
}

function silentCommand(program: Program): Command {
  return new Command("silent")
    .description("List active meters that were not heard of for a day (site.silent_after_seconds)")
    .option(...LIMIT, parseCount(1), 100)
    .option("--json", "for scripts")
    .action((options: { limit: number; json?: true }) =>
      withSession(program, async ({ database }) => {
        const meters = await silentMeters(database, options.limit);
        if (options.json) return program.print(JSON.stringify(meters, null, 2));
        const rows = meters.map((meter) => ({
          meter: meter.meterNumber,
          type: meter.meterType,
          group: meter.group,
          last_seen: instant(meter.lastSeenAt) ?? "never",
        }));
        program.print(textTable(rows, "No meter is silent."));
      }),
    );
}

function overdueCommand(program: Program): Command {
  return new Command("overdue")
    .description(
      "List meters whose push by a schedule is overdue (`hes schedules add … --push --overdue-after 15m`)",
    )
    .option(...LIMIT, parseCount(1), 100)
    .option("--json", "for scripts")
    .action((options: { limit: number; json?: true }) =>
      withSession(program, async ({ database }) => {
        const pushes = await overduePushes(database, options.limit);
        if (options.json) return program.print(JSON.stringify(pushes, null, 2));
        const rows = pushes.map((push) => ({
          schedule: push.schedule,
          meter: push.meterNumber,
          due: instant(push.dueAt),
          overdue_since: instant(push.overdueSince),
        }));
        program.print(textTable(rows, "No push is overdue."));
      }),
    );
}

function retryCommand(program: Program): Command {
  return new Command("retry")
    .description("Open gaps again that were given up, and those that wait for their next attempt")
    .option("--meter <meter_number>", "only of this meter")
    .option("--all", "of all meters")
    .action((options: { meter?: string; all?: true }) =>
      withSession(program, async ({ database }) => {
        if ((options.meter === undefined) === (options.all === undefined))
          throw new UserError(EXIT.usage, "one of --meter and --all says whose gaps");
        const meter = options.meter === undefined ? null : await namedMeter(database, options.meter);
        const gaps = await reopenGaps(database, meter?.meterNumber ?? null);
        program.print(`${gaps} gaps are looked at again by the daemon.`);
      }),
    );
}
