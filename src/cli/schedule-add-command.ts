import { Command, Option } from "commander";
import { formatObis } from "../dlms/cosem/obis-code.ts";
import { EXIT, UserError } from "../exit.ts";
import { CronTimes } from "../schedule/cron-times.ts";
import type { Database } from "../storage/database.ts";
import type { PollElement } from "../storage/poll-tasks.ts";
import { addSchedule, classOfObject, type EntryContent, isGroupInUse } from "../storage/schedules.ts";
import { parseCount, parseDuration } from "./duration.ts";
import type { Program } from "./program.ts";
import { namedObject } from "./read-request.ts";
import { withSchedules } from "./schedule-session.ts";
import { instant } from "./text-table.ts";

interface Options {
  readonly cron: string;
  readonly zone?: string;
  readonly reads?: string;
  readonly list?: string;
  readonly object?: string[];
  readonly push?: true;
  readonly overdueAfter?: number;
  readonly meter?: string;
  readonly group?: string;
  readonly type?: string;
  readonly client?: number;
  readonly spread: number;
  readonly window?: number;
  readonly missed: "collapse" | "all" | "skip";
  readonly retries: number;
  readonly retryDelay: number;
  readonly priority: number;
}

const SPREAD = new Option("--spread <time>", "polls begin spread over so much time")
  .argParser(parseDuration)
  .default(60_000, "1m");
const RETRY_DELAY = new Option(
  "--retry-delay <time>",
  "before the first retry; doubled for each further one, up to an hour",
)
  .argParser(parseDuration)
  .default(60_000, "1m");

export function scheduleAddCommand(program: Program): Command {
  return new Command("add")
    .description("Add a schedule: what is read (or pushed), by which meters, and when")
    .argument("<name>", "any name")
    .requiredOption("--cron <expression>", 'minute hour day month weekday, such as "15 */4 * * *"')
    .option("--zone <name>", "time zone of the expression; without it time.zone")
    .addOption(
      new Option("--reads <profile>", "read this profile, by the list of each meter's category").choices([
        ...["block", "daily", "billing", "instant", "event"],
      ]),
    )
    .option("--list <name>", "read this list: `hes schedules lists`")
    .option(
      "--object <obis...>",
      "read these objects: OBIS, or CLASS:OBIS/ATTRIBUTE where they differ from the catalogue",
    )
    .option("--push", "nothing is read: it says when meters are expected to push")
    .option(
      "--overdue-after <time>",
      "with --push: a push that isn't here so long after its time is overdue",
      parseDuration,
    )
    .option("--meter <meter_number>", "only this meter")
    .option("--group <name>", "only meters of this group")
    .option("--type <meter_type>", "only meters of this type")
    .option("--client <sap>", "association; without it polling.client_sap", parseCount(1, 127))
    .addOption(SPREAD)
    .option(
      "--window <time>",
      "polls that have not begun so long after their time are left out",
      parseDuration,
    )
    .addOption(
      new Option("--missed <policy>", "runs missed while the daemon was down: one for all, each, or none")
        .choices(["collapse", "all", "skip"])
        .default("collapse"),
    )
    .option("--retries <n>", "further attempts after the first", parseCount(0, 100), 3)
    .addOption(RETRY_DELAY)
    .option("--priority <n>", "-400 to 400; the higher goes first", parsePriority, 0)
    .action((name: string, options: Options) =>
      withSchedules(program, async ({ database, config }) => {
        const times = new CronTimes(options.cron, options.zone ?? config.time.zone);
        const { content, kind } = await contentOf(database, options);
        await addSchedule(database, {
          name,
          kind,
          cron: options.cron,
          timeZone: options.zone ?? null,
          windowSeconds: seconds(options.window),
          spreadSeconds: Math.round(options.spread / 1_000),
          missedRuns: options.missed,
          overdueAfterSeconds: seconds(options.overdueAfter),
          scope: {
            meterNumber: options.meter ?? null,
            group: options.group ?? null,
            meterType: options.type ?? null,
          },
          content,
          clientSap: options.client ?? null,
          priority: options.priority,
          retryMax: options.retries,
          retryDelaySeconds: Math.max(1, Math.round(options.retryDelay / 1_000)),
        });
        program.print(`${name} is due next at ${instant(times.next(Date.now())) ?? "no time that comes"}.`);
        if (options.group !== undefined && !(await isGroupInUse(database, options.group)))
          program.print(`No meter is of group "${options.group}" yet: nobody does anything by it.`);
      }),
    );
}

const seconds = (ms: number | undefined): number | null =>
  ms === undefined ? null : Math.max(1, Math.round(ms / 1_000));

function parsePriority(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || Math.abs(value) > 400)
    throw new UserError(EXIT.usage, "--priority is a whole number from -400 to 400");
  return value;
}

async function contentOf(
  database: Database,
  { reads, list, object, push }: Options,
): Promise<{ content: EntryContent; kind: "poll" | "push" }> {
  const given = [reads, list, object, push].filter((option) => option !== undefined);
  if (given.length !== 1)
    throw new UserError(EXIT.usage, "one of --reads, --list, --object and --push says what the meters do");
  if (push) return { content: { pushSetupId: null }, kind: "push" };
  if (reads !== undefined) return { content: { profile: reads }, kind: "poll" };
  if (list !== undefined) return { content: { list }, kind: "poll" };
  const elements: PollElement[] = [];
  for (const text of object!) elements.push(await elementOf(database, text));
  return { content: { elements }, kind: "poll" };
}

async function elementOf(database: Database, text: string): Promise<PollElement> {
  const { classId, instanceId, attributeId } = namedObject(text);
  const code = formatObis(instanceId);
  const known = classId ?? (await classOfObject(database, code));
  if (known === null)
    throw new UserError(EXIT.data, `The class of ${code} is not known; write it in front: 3:${code}`);
  return { classId: known, code, attribute: attributeId, dataIndex: 0 };
}
