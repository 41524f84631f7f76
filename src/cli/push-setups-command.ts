import { Command } from "commander";
import { EXIT, UserError } from "../exit.ts";
import { listPushSetups, type PushSetupSummary } from "../storage/push-setups.ts";
import type { Program } from "./program.ts";
import { checkCommand, writeCommand } from "./push-setups-meter.ts";
import { scheduleCommand } from "./push-setups-schedule.ts";
import { setCommand } from "./push-setups-set.ts";
import { withSession } from "./session.ts";
import { textTable } from "./text-table.ts";

export function pushSetupsCommand(program: Program): Command {
  const command = new Command("push-setups").description(
    "Push setups: how meters are meant to push, and whether they are set so",
  );
  for (const sub of [listCommand, showCommand, setCommand, scheduleCommand, checkCommand, writeCommand].map(
    (declare) => declare(program),
  ))
    command.addCommand(sub);
  return command;
}

function listCommand(program: Program): Command {
  return new Command("list")
    .description(
      "List the push setups of the database; those without a destination only explain what meters push",
    )
    .option("--all", "also those without a destination")
    .option("--json", "for scripts")
    .action((options: { all?: true; json?: true }) =>
      withSession(program, async ({ database }) => {
        const all = await listPushSetups(database);
        const shown = options.all ? all : all.filter(({ destination }) => destination !== null);
        program.print(options.json ? JSON.stringify(shown) : table(shown, all.length - shown.length));
      }),
    );
}

function table(setups: readonly PushSetupSummary[], hidden: number): string {
  const rows = setups.map((setup) => ({
    id: setup.id,
    push_setup: setup.logicalName,
    for: setup.scope,
    destination: setup.destination,
    lists: setup.lists.map(({ name }) => name).join(", "),
    enabled: setup.enabled,
    name: setup.name,
  }));
  const empty =
    hidden > 0
      ? `No push setup has a destination yet; ${hidden} explain what meters push (--all).`
      : "There are no push setups.";
  return textTable(rows, empty);
}

function showCommand(program: Program): Command {
  return new Command("show")
    .description("Show one push setup with its lists")
    .argument("<id>", "number of the setup, as `hes push-setups list --all` shows it")
    .option("--json", "for scripts")
    .action((id: string, options: { json?: true }) =>
      withSession(program, async ({ database }) => {
        if (!/^\d{1,9}$/.test(id))
          throw new UserError(EXIT.usage, `${JSON.stringify(id)} is no number of a push setup`);
        const [setup] = await listPushSetups(database, Number(id));
        if (setup === undefined)
          throw new UserError(EXIT.data, `there is no push setup ${id}: hes push-setups list --all`);
        program.print(options.json ? JSON.stringify(setup) : details(setup));
      }),
    );
}

function details(setup: PushSetupSummary): string {
  const { lists, ...head } = setup;
  const seconds = (value: number | null) => (value === null ? null : `${value} s`);
  const lines: [string, string | number | boolean | null][] = [
    ["name", head.name],
    ["push setup", head.logicalName],
    ["for", head.scope],
    ["standard", head.standard],
    ["transport", head.transportService],
    ["destination", head.destination],
    ["message", head.messageType],
    [
      "communication windows",
      head.communicationWindows.length === 0 ? null : JSON.stringify(head.communicationWindows),
    ],
    ["randomisation", seconds(head.randomisationStartIntervalSeconds)],
    ["retries", head.numberOfRetries],
    ["repetition delay", seconds(head.repetitionDelaySeconds)],
    ["enabled", head.enabled ? "yes" : "no"],
  ];
  return [
    ...lines.map(([name, value]) => `${name.padEnd(22)} ${value ?? "-"}`),
    ...lists.flatMap(({ name, kind, enabled, entries }) => [
      "",
      `list ${JSON.stringify(name)}, ${kind}${enabled ? "" : ", disabled"}`,
      ...entries.map((entry, index) => `  ${String(index + 1).padStart(3)}  ${entry}`),
    ]),
  ].join("\n");
}
