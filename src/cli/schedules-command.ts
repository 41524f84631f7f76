import { Command } from "commander";
import { EXIT, UserError } from "../exit.ts";
import { counted } from "../finding.ts";
import { CronError, CronTimes } from "../schedule/cron-times.ts";
import { runScheduleNow } from "../storage/schedule-firings.ts";
import {
  findSchedule,
  listSchedules,
  pollAttempts,
  pollLists,
  removeSchedule,
  type ScheduleSummary,
  setScheduleEnabled,
} from "../storage/schedules.ts";
import { parseCount } from "./duration.ts";
import { namedMeter } from "./named-meter.ts";
import type { Program } from "./program.ts";
import { scheduleAddCommand } from "./schedule-add-command.ts";
import { withSchedules } from "./schedule-session.ts";
import { instant, textTable } from "./text-table.ts";

export function schedulesCommand(program: Program): Command {
  const command = new Command("schedules").description(
    "Schedules: what is read from which meters and when, and when meters are expected to push",
  );
  for (const sub of [
    listCommand(program),
    listsCommand(program),
    scheduleAddCommand(program),
    showCommand(program),
    switchCommand(program, "enable", true, "Fire a schedule again, from now on"),
    switchCommand(program, "disable", false, "Fire a schedule no more; polls that wait already are made"),
    removeCommand(program),
    runCommand(program),
    historyCommand(program),
  ]) {
    command.addCommand(sub);
  }
  return command;
}

function listCommand(program: Program): Command {
  return new Command("list")
    .description("List schedules, when they were due last, and when they are due next")
    .option("--json", "for scripts")
    .action((options: { json?: true }) =>
      withSchedules(program, async ({ database, config }) => {
        const schedules = await listSchedules(database);
        if (options.json) return program.print(JSON.stringify(schedules, null, 2));
        const rows = schedules.map((schedule) => ({
          schedule: schedule.name,
          kind: schedule.kind,
          cron: schedule.cron,
          zone: schedule.timeZone ?? config.time.zone,
          meters: [...new Set(schedule.entries.map(({ meters }) => meters))].join(", "),
          last_due: instant(schedule.lastDueAt),
          next_due: instant(nextRuns(schedule, config.time.zone, 1)[0] ?? null),
          waiting: schedule.waiting,
          enabled: schedule.enabled,
        }));
        program.print(
          textTable(rows, "There are no schedules: `hes schedules add NAME --cron … --reads block`."),
        );
      }),
    );
}

/** Empty where it is disabled, has no expression, or one that is none. */
function nextRuns({ cron, timeZone, enabled }: ScheduleSummary, zone: string, count: number): number[] {
  if (!enabled || cron === null) return [];
  const runs: number[] = [];
  try {
    const times = new CronTimes(cron, timeZone ?? zone);
    for (let at = times.next(Date.now()); at !== null && runs.length < count; at = times.next(at))
      runs.push(at);
  } catch (error) {
    if (!(error instanceof CronError)) throw error;
  }
  return runs;
}

function listsCommand(program: Program): Command {
  return new Command("lists")
    .description("List what can be read by a schedule: rows of push_objects of kind poll")
    .option("--json", "for scripts")
    .action((options: { json?: true }) =>
      withSchedules(program, async ({ database }) => {
        const lists = await pollLists(database);
        if (options.json) return program.print(JSON.stringify(lists, null, 2));
        const rows = lists.map(({ name, kind, scope, elements }) => ({
          list: name,
          profile: kind,
          for: scope,
          elements,
        }));
        program.print(textTable(rows, "There are no lists."));
      }),
    );
}

function showCommand(program: Program): Command {
  return new Command("show")
    .description("Show one schedule: its entries, its next runs, and what its last polls came to")
    .argument("<name>", "name of the schedule")
    .option("--json", "for scripts")
    .action((name: string, options: { json?: true }) =>
      withSchedules(program, async ({ database, config }) => {
        const schedule = await findSchedule(database, name);
        const next = nextRuns(schedule, config.time.zone, 5);
        if (options.json)
          return program.print(JSON.stringify({ ...schedule, next: next.map(instant) }, null, 2));
        program.print(described(schedule, config.time.zone, next));
      }),
    );
}

function described(schedule: ScheduleSummary, zone: string, next: readonly number[]): string {
  const { windowSeconds, overdueAfterSeconds } = schedule;
  const lines = [
    `${schedule.name}: ${schedule.kind}, ${schedule.enabled ? "enabled" : "disabled"}`,
    `  ${schedule.cron ?? "no cron expression"} in ${schedule.timeZone ?? zone}`,
    `  polls begin within ${schedule.spreadSeconds} s${windowSeconds === null ? "" : `, none later than ${windowSeconds} s`}; missed runs: ${schedule.missedRuns}`,
    ...(overdueAfterSeconds === null ? [] : [`  a push is overdue after ${overdueAfterSeconds} s`]),
    `  last due ${instant(schedule.lastDueAt) ?? "never"}, ${schedule.waiting} polls wait${leftOutText(schedule.lastLeftOut ?? 0)}`,
    `  next due ${next.length === 0 ? "never" : next.map(instant).join(", ")}`,
  ];
  const entries = schedule.entries.map((entry) => ({
    meters: entry.meters,
    reads: entry.reads,
    client_sap: entry.clientSap,
    priority: entry.priority,
    retries: entry.retryMax,
    retry_delay_s: entry.retryDelaySeconds,
    enabled: entry.enabled,
  }));
  return [...lines, textTable(entries, "It has no entries: nobody does anything by it.")].join("\n");
}

function switchCommand(program: Program, verb: string, enabled: boolean, about: string): Command {
  return new Command(verb)
    .description(about)
    .argument("<name>", "name of the schedule")
    .action((name: string) =>
      withSchedules(program, async ({ database }) => {
        await setScheduleEnabled(database, name, enabled);
        program.print(`${name} is ${enabled ? "enabled" : "disabled"}.`);
      }),
    );
}

function removeCommand(program: Program): Command {
  return new Command("remove")
    .description(
      "Remove a schedule with its entries and the polls that wait; what was polled stays in push_history",
    )
    .argument("<name>", "name of the schedule")
    .action((name: string) =>
      withSchedules(program, async ({ database }) => {
        await removeSchedule(database, name);
        program.print(`${name} is removed.`);
      }),
    );
}

function runCommand(program: Program): Command {
  return new Command("run")
    .description("Queue the polls of a schedule now, before everything that is due; the daemon makes them")
    .argument("<name>", "name of the schedule")
    .argument("[now]", "may be written for clarity: `hes schedules run NAME now`")
    .option("--meter <meter_number>", "only this meter")
    .action((name: string, now: string | undefined, options: { meter?: string }) =>
      withSchedules(program, async ({ database, config }) => {
        if (now !== undefined && now !== "now")
          throw new UserError(EXIT.usage, `"${now}" is not understood; write now, or nothing`);
        const { id, kind } = await findSchedule(database, name);
        if (kind !== "poll")
          throw new UserError(EXIT.data, `By ${name} meters push; there is nothing to poll.`);
        const meter = options.meter === undefined ? null : await namedMeter(database, options.meter);
        const { clientSap } = config.polling;
        const run = await runScheduleNow(database, id, Date.now(), meter?.id ?? null, clientSap);
        if (run.polls === 0) {
          const none = run.leftOut === 0 ? `No active meter is meant by ${name}` : "Nothing is queued";
          throw new UserError(EXIT.data, `${none}${leftOutText(run.leftOut)}.`);
        }
        program.print(
          `${counted(run.polls, "poll")} ${run.polls === 1 ? "is" : "are"} queued${leftOutText(run.leftOut)}; \`hes schedules history ${name}\` shows what they come to.`,
        );
      }),
    );
}

const leftOutText = (meters: number): string =>
  meters === 0
    ? ""
    : `, ${meters} ${meters === 1 ? "meter is" : "meters are"} left out for want of an association (\`hes keys import\`)`;

function historyCommand(program: Program): Command {
  return new Command("history")
    .description("Show attempts to poll, the newest first, and why they failed")
    .argument("[name]", "only of this schedule")
    .option("--meter <meter_number>", "only of this meter")
    .option("--limit <n>", "at most so many", parseCount(1), 50)
    .option("--json", "for scripts")
    .action((name: string | undefined, options: { meter?: string; limit: number; json?: true }) =>
      withSchedules(program, async ({ database }) => {
        const attempts = await pollAttempts(database, {
          ...(name === undefined ? {} : { scheduleId: (await findSchedule(database, name)).id }),
          ...(options.meter === undefined
            ? {}
            : { meterNumber: (await namedMeter(database, options.meter)).meterNumber }),
          limit: options.limit,
        });
        if (options.json) return program.print(JSON.stringify(attempts, null, 2));
        const rows = attempts.map((attempt) => ({
          started: instant(attempt.startedAt),
          meter: attempt.meterNumber,
          schedule: attempt.schedule ?? "-",
          list: attempt.list,
          attempt: attempt.attempt,
          seconds: attempt.finishedAt === null ? null : (attempt.finishedAt - attempt.startedAt) / 1_000,
          result: attempt.verdict,
          rows: attempt.rows,
          error: attempt.error,
        }));
        program.print(textTable(rows, "Nothing has been polled."));
      }),
    );
}
