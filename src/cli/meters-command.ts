import { Command } from "commander";
import { EXIT, UserError } from "../exit.ts";
import { counted, countedWere } from "../finding.ts";
import { type ListedAssociation, listAssociations } from "../storage/associations.ts";
import { importMeters, METER_COLUMNS, type MeterImportReport } from "../storage/meter-import.ts";
import { listMeters, type MeterSummary } from "../storage/meters.ts";
import { adoptCommand } from "./adopt-command.ts";
import { readText } from "./input.ts";
import { type MeterOptions, meterLine, withMeterOptions } from "./meter-options.ts";
import { namedMeter } from "./named-meter.ts";
import type { Program } from "./program.ts";
import { withSession } from "./session.ts";
import { sharedKeyWarnings } from "./shared-keys-text.ts";
import { instant, textTable } from "./text-table.ts";

export function metersCommand(program: Program): Command {
  const command = new Command("meters").description("Meters: who they are and what protection they must use");
  for (const sub of [
    importCommand(program),
    addCommand(program),
    listCommand(program),
    showCommand(program),
    adoptCommand(program),
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
        const report = await importMeters(database, await ring(), readText(file), {
          dryRun: options.dryRun ?? false,
        });
        if (options.json) return program.print(JSON.stringify(report));
        program.print(imported(report, options.dryRun ?? false));
        for (const warning of sharedKeyWarnings(report.sharedKeys)) program.complain(warning);
      }),
    );
}

function imported(report: MeterImportReport, dryRun: boolean): string {
  const types = report.typesCreated.map(
    ({ name, category }) => `The meter type ${name} is new; its category is taken to be ${category}.`,
  );
  const counts = `${countedWere(report.created, "meter", dryRun)} added, ${report.updated} changed, ${counted(report.keysStored, "key")} stored.`;
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
      const report = await importMeters(database, await ring(), meterLine(meterNumber, options));
      if (options["json"]) return program.print(JSON.stringify(report));
      program.print(imported(report, false));
      for (const warning of sharedKeyWarnings(report.sharedKeys)) program.complain(warning);
    }),
  );
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
        const meter = await namedMeter(database, name);
        const associations = await listAssociations(database, meter.id);
        if (options.json) return program.print(JSON.stringify({ ...meter, associations }, null, 2));
        program.print(details(meter, associations));
      }),
    );
}

function details(meter: MeterSummary, associations: readonly ListedAssociation[]): string {
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
  const none = "It has no associations, so it is not read: `hes keys import`.";
  return [
    ...lines,
    "",
    textTable(rows, "It has no keys."),
    "",
    textTable(associations.map(associationRow), none),
  ].join("\n");
}

const associationRow = (one: ListedAssociation) => ({
  client_sap: one.clientSap,
  mechanism: one.mechanism,
  context: one.context,
  secret: one.hasSecret ? "yes" : "",
  pre_established: one.preEstablished ? "yes" : "",
  conformance: one.conformance ?? "",
  max_receive_pdu_size: one.maxReceivePduSize ?? "",
});
