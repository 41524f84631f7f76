import { Command } from "commander";
import { checkPushConfiguration, type ObjectCheck } from "../commands/push-check.ts";
import { type PushConfiguration, PushConfigurationError } from "../commands/push-configuration.ts";
import { type AttributeWrite, writePushConfiguration } from "../commands/push-write.ts";
import { EXIT, UserError } from "../exit.ts";
import type { MeterAssociation } from "../polling/meter-association.ts";
import { ObjectListUnreadable } from "../polling/object-list.ts";
import { storedCommandLog } from "../storage/meter-commands.ts";
import { loadPushConfiguration } from "../storage/push-setups.ts";
import type { Program } from "./program.ts";
import { textTable } from "./text-table.ts";
import { clientSapOf, type MeterSession, withMeter } from "./with-meter.ts";

interface Options {
  readonly client: string;
  readonly json?: true;
}

const CLIENT = ["--client <sap>", "client SAP of the association that may set it", "48"] as const;

/** What a command is given: the meter's association, what is configured for it, and where its result goes. */
interface Given {
  readonly association: MeterAssociation;
  readonly configuration: PushConfiguration;
  readonly session: MeterSession;
  /** Prints the one or the other; `isWell` false ends the command with 65. */
  readonly tell: (json: () => unknown, text: () => string, isWell: boolean) => void;
}

export function checkCommand(program: Program): Command {
  return meterCommand(
    program,
    "check",
    "Compare a meter's push setups and schedules with the database, object by object; 65 where they differ",
    async ({ association, configuration, tell }) => {
      const checks = await readable(() => checkPushConfiguration(association, configuration));
      const isWell = checks.every(({ state }) => state === "same");
      tell(
        () => checks.map(checkJson),
        () => checkText(checks),
        isWell,
      );
    },
  );
}

export function writeCommand(program: Program): Command {
  return meterCommand(
    program,
    "write",
    "Write what differs from the database to a meter's push setups and schedules, and read it back; 65 where it doesn't hold",
    async ({ association, configuration, session, tell }) => {
      const log = storedCommandLog(session.database);
      const { checks, writes } = await readable(() =>
        writePushConfiguration(association, configuration, log),
      );
      const isWell =
        writes.every(({ end }) => end.state === "verified") &&
        checks.every(({ state }) => state === "same" || state === "differs");
      tell(
        () => ({ checks: checks.map(checkJson), writes: writes.map(writeJson) }),
        () => writeText(checks, writes),
        isWell,
      );
    },
  );
}

function meterCommand(
  program: Program,
  name: string,
  description: string,
  act: (given: Given) => Promise<void>,
): Command {
  return new Command(name)
    .description(description)
    .argument("<meter>", "number, id, system title or logical device name")
    .option(...CLIENT)
    .option("--json", "for scripts")
    .action((meter: string, options: Options) =>
      withMeter(program, meter, async (session) => {
        const configuration = await configurationOf(session);
        const association = await session.associate(clientSapOf(options.client));
        const tell: Given["tell"] = (json, text, isWell) => {
          program.print(options.json ? JSON.stringify(json()) : text());
          if (!isWell) program.finish(EXIT.data);
        };
        await act({ association, configuration, session, tell });
      }),
    );
}

async function configurationOf({ database, meter }: MeterSession): Promise<PushConfiguration> {
  const configuration = await loadPushConfiguration(database, meter);
  if (configuration.setups.length === 0 && configuration.schedules.length === 0) {
    throw new UserError(
      EXIT.data,
      `Nothing is configured for ${meter.meterNumber}: no row of push_setups that is meant for it has a destination, and no push schedule has execution times for it (docs/operating/push-setups.md)`,
    );
  }
  return configuration;
}

/** What stands in the tables, and what the meter can't give, are told in a sentence. */
async function readable<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof PushConfigurationError) throw new UserError(EXIT.data, error.message);
    if (error instanceof ObjectListUnreadable) throw new UserError(EXIT.unavailable, error.message);
    throw error;
  }
}

function checkJson({ attributes, ...object }: ObjectCheck) {
  return {
    ...object,
    attributes: attributes.map(({ index, name, state, expected, found, reason }) => ({
      ...{ index, name, state, expected, found, reason },
    })),
  };
}

function writeJson({ object, attribute, end }: AttributeWrite) {
  return { logicalName: object.logicalName, index: attribute.index, name: attribute.name, ...end };
}

const headOf = ({ kind, logicalName, name, version }: ObjectCheck) =>
  `${logicalName}  ${kind === "push-setup" ? "push setup" : "single action schedule"}${version === null ? "" : ` (version ${version})`}, ${name}`;

function checkText(checks: readonly ObjectCheck[]): string {
  return checks
    .map((check) => [`${headOf(check)}: ${check.state}`, ...linesOf(check)].join("\n"))
    .join("\n\n");
}

function linesOf({ reason, attributes }: ObjectCheck): string[] {
  if (reason !== null) return [`  ${reason}`];
  return attributes.flatMap(({ index, name, state, expected, found, reason: why }) => {
    const head = `  ${index} ${name}: ${state}`;
    if (state === "same") return [head];
    if (state === "unknown") return [`${head}: ${why}`];
    return [head, ...differences(expected, found ?? []).map((line) => `      ${line}`)];
  });
}

/** What is expected and not there, and what is there and not expected; by place, where only the order differs. */
function differences(expected: readonly string[], found: readonly string[]): string[] {
  if (expected.length === 1 && found.length === 1) return [`expected ${expected[0]}`, `found    ${found[0]}`];
  const lines = [
    ...expected.flatMap((text, place) => (found.includes(text) ? [] : [`missing  ${place + 1}: ${text}`])),
    ...found.flatMap((text, place) => (expected.includes(text) ? [] : [`surplus  ${place + 1}: ${text}`])),
  ];
  if (lines.length > 0) return lines;
  const place = expected.findIndex((text, at) => text !== found[at]);
  return [
    `other order or repeated, from ${place + 1} on: expected ${expected[place] ?? "nothing more"}, found ${found[place] ?? "nothing more"}`,
  ];
}

function writeText(checks: readonly ObjectCheck[], writes: readonly AttributeWrite[]): string {
  const left = checks.filter(({ state }) => state === "missing" || state === "unknown");
  const rows = writes.map(({ object, attribute, end }) => ({
    object: object.logicalName,
    attribute: `${attribute.index} ${attribute.name}`,
    state: end.state,
    reason: end.reason,
  }));
  const table = textTable(
    rows,
    left.length === 0 ? "The meter is as configured; nothing was written." : "Nothing was written.",
  );
  return [
    table,
    ...left.map((check) => ["", `${headOf(check)}: ${check.state}`, ...linesOf(check)].join("\n")),
  ].join("\n");
}
