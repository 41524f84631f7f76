import { Command, Option } from "commander";
import { EXIT, UserError } from "../exit.ts";
import { importMeters, METER_COLUMNS, type MeterImportReport } from "../storage/meter-import.ts";
import { listMeters, type MeterSummary, showMeter } from "../storage/meters.ts";
import { readText } from "./input.ts";
import type { Program } from "./program.ts";
import { withSession } from "./session.ts";
import { instant, textTable } from "./text-table.ts";

const KEY_COLUMNS = new Set(["guek", "gak", "master_key"]);
/** Columns that `add` and `adopt` take as options. */
const OPTION_COLUMNS = METER_COLUMNS.filter((name) => name !== "meter_number");

export function metersCommand(program: Program): Command {
  const command = new Command("meters").description("Meters: who they are and what protection they must use");
  for (const sub of [
    importCommand(program),
    addCommand(program),
    listCommand(program),
    showCommand(program),
  ]) {
    command.addCommand(sub);
  }
  return command;
}

function importCommand(program: Program): Command {
  return new Command("import")
    .description("Import meters and their keys from a CSV file; nothing is half imported")
    .argument("<file>", `CSV: ${METER_COLUMNS.join(", ")}; - for standard input`)
    .option("--dry-run", "check everything and change nothing")
    .option("--json", "for scripts")
    .action((file: string, options: { dryRun?: true; json?: true }) =>
      withSession(program, async ({ database, ring }) => {
        const report = await importMeters(database, ring(), readText(file), {
          dryRun: options.dryRun ?? false,
        });
        program.print(options.json ? JSON.stringify(report) : imported(report, options.dryRun ?? false));
      }),
    );
}

function imported(report: MeterImportReport, dryRun: boolean): string {
  const verb = dryRun ? "would be" : "were";
  const types = report.typesCreated.map(
    ({ name, category }) => `The meter type ${name} is new; its category is taken to be ${category}.`,
  );
  const counts = `${report.created} meters ${verb} added, ${report.updated} changed, ${report.keysStored} keys stored.`;
  return [...types, counts].join("\n");
}

function addCommand(program: Program): Command {
  const add = new Command("add")
    .description("Add one meter, or change what is known of it")
    .argument("<meter_number>", "the number that it is known by")
    .option("--json", "for scripts");
  return withMeterOptions(add).action((meterNumber: string, options: MeterOptions) =>
    withSession(program, async ({ database, ring }) => {
      if (!options["meterType"])
        throw new UserError(EXIT.usage, "--meter-type is needed: `hes meter-types list`");
      const report = await importMeters(database, ring(), meterLine(meterNumber, options));
      program.print(options["json"] ? JSON.stringify(report) : imported(report, false));
    }),
  );
}

/** Options of commander, by their names in TypeScript's case. */
export type MeterOptions = Readonly<Record<string, string | true | undefined>>;

export function withMeterOptions(command: Command): Command {
  for (const column of OPTION_COLUMNS) {
    const about = KEY_COLUMNS.has(column)
      ? "hex, text:… or @FILE; other users of this machine see arguments, so prefer @FILE"
      : ABOUT[column];
    command.addOption(new Option(`--${column.replaceAll("_", "-")} <value>`, about));
  }
  return command;
}

const ABOUT: Readonly<Record<string, string>> = {
  meter_type: "see `hes meter-types list`",
  system_title: "16 hex digits",
  required_protection: "none, authenticated, encrypted or authenticated+encrypted",
  security_suite: "0, 1 or 2",
  framing: "auto, hdlc or wrapper",
  mode: "listen or dial",
  deviation_sign: "standard or reversed",
  time_zone: "such as Asia/Kolkata",
  group: "any name",
};

/** What the options say, as a file of one meter: so that one meter is checked as many are. */
export function meterLine(meterNumber: string, options: MeterOptions): string {
  const given = OPTION_COLUMNS.flatMap((column): [string, string][] => {
    const value = options[column.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())];
    if (typeof value !== "string") return [];
    return [
      [column, KEY_COLUMNS.has(column) && value.startsWith("@") ? readText(value.slice(1)).trim() : value],
    ];
  });
  const columns: [string, string][] = [["meter_number", meterNumber], ...given];
  const quoted = columns.map(([, value]) => `"${value.replaceAll('"', '""')}"`);
  return `${columns.map(([name]) => name).join(",")}\n${quoted.join(",")}\n`;
}

function listCommand(program: Program): Command {
  return new Command("list")
    .description("List meters by number")
    .option("--search <text>", "only those with this in number, name, system title or maker")
    .option("--type <meter_type>", "only meters of this type")
    .option("--group <name>", "only meters of this group")
    .option("--limit <n>", "at most so many", "1000")
    .option("--json", "for scripts")
    .action((options: { search?: string; type?: string; group?: string; limit: string; json?: true }) =>
      withSession(program, async ({ database }) => {
        const limit = Number(options.limit);
        if (!Number.isInteger(limit) || limit < 1)
          throw new UserError(EXIT.usage, "--limit is a number from 1");
        const meters = await listMeters(database, {
          ...(options.search ? { search: options.search } : {}),
          ...(options.type ? { meterType: options.type } : {}),
          ...(options.group ? { group: options.group } : {}),
          limit,
        });
        if (options.json) return program.print(JSON.stringify(meters, null, 2));
        program.print(textTable(meters.map(brief), "There are no meters: `hes meters import FILE.csv`."));
        if (meters.length === limit)
          program.complain(`Only the first ${limit} are shown: see --limit and --search.`);
      }),
    );
}

const brief = (meter: MeterSummary) => ({
  meter: meter.meterNumber,
  type: meter.meterType,
  manufacturer: meter.manufacturer,
  system_title: meter.systemTitle,
  protection: protectionName(meter.requiredProtection),
  keys: meter.keys
    .filter(({ state }) => state === "ACTIVE")
    .map(({ kind }) => kind)
    .join(" "),
  group: meter.group,
  status: meter.status,
  last_seen: instant(meter.lastSeenAt),
});

/** The words of the import file for bits of the security control octet. */
export function protectionName(bits: number): string {
  const names: Record<number, string> = {
    0: "none",
    16: "authenticated",
    32: "encrypted",
    48: "authenticated+encrypted",
  };
  return names[bits] ?? String(bits);
}

function showCommand(program: Program): Command {
  return new Command("show")
    .description("Show all that is known of one meter")
    .argument("<meter>", "number, id, system title or logical device name")
    .option("--json", "for scripts")
    .action((name: string, options: { json?: true }) =>
      withSession(program, async ({ database }) => {
        const meter = await showMeter(database, name);
        if (!meter) throw new UserError(EXIT.data, `There is no meter "${name}": see \`hes meters list\`.`);
        if (options.json) return program.print(JSON.stringify(meter, null, 2));
        program.print(details(meter));
      }),
    );
}

function details(meter: MeterSummary): string {
  const { keys, lastSeenAt, requiredProtection, ...rest } = meter;
  const shown: Record<string, unknown> = {
    ...rest,
    requiredProtection: protectionName(requiredProtection),
    lastSeenAt: instant(lastSeenAt),
  };
  const lines = Object.entries(shown).map(([name, value]) => {
    const words = name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
    return `${words.padEnd(26)}${value === null || value === "" ? "-" : String(value)}`;
  });
  const rows = keys.map(({ keyId, kind, clientSap, state }) => ({
    id: keyId,
    kind,
    client_sap: clientSap ?? "all",
    state,
  }));
  return [...lines, "", textTable(rows, "It has no keys.")].join("\n");
}
