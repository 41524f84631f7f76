import { Command } from "commander";
import { countedWere } from "../finding.ts";
import { listMeterTypes, listObisCodes, listScalers } from "../storage/reference-lists.ts";
import { importScalers } from "../storage/scaler-import.ts";
import { readText } from "./input.ts";
import type { Program } from "./program.ts";
import { withSession } from "./session.ts";
import { textTable } from "./text-table.ts";

export function obisCommand(program: Program): Command {
  const command = new Command("obis").description("Objects that values are known by");
  command
    .command("list")
    .description("List OBIS codes, what they mean and where their values are stored")
    .option("--unknown", "only codes that meters sent and no list names")
    .option("--search <text>", "only codes with this in code or description")
    .option("--json", "for scripts")
    .action((options: { unknown?: true; search?: string; json?: true }) =>
      withSession(program, async ({ database }) => {
        const codes = await listObisCodes(database, {
          unknown: options.unknown ?? false,
          ...(options.search ? { search: options.search } : {}),
        });
        if (options.json) return program.print(JSON.stringify(codes, null, 2));
        const rows = codes.map(({ code, attribute, classId, description, unit, storedIn, standard }) => ({
          code,
          attribute,
          class: classId,
          unit,
          stored_in: storedIn,
          standard,
          description,
        }));
        program.print(
          textTable(rows, options.unknown ? "No meter has sent an unknown code." : "There are no codes."),
        );
      }),
    );
  return command;
}

export function meterTypesCommand(program: Program): Command {
  const command = new Command("meter-types").description("Types of meters and the scalers of their integers");
  command
    .command("import")
    .description("Import scalers: what the integers that meters of a type push without scaler and unit mean")
    .argument("<file>", "CSV: meter_type, obis, attribute, scaler, unit; - for standard input")
    .option("--dry-run", "check everything and change nothing")
    .option("--json", "for scripts")
    .action((file: string, options: { dryRun?: true; json?: true }) =>
      withSession(program, async ({ database }) => {
        const report = await importScalers(database, readText(file), { dryRun: options.dryRun ?? false });
        if (options.json) return program.print(JSON.stringify(report));
        const added = countedWere(report.created, "scaler", options.dryRun ?? false);
        program.print(`${added} added, ${report.updated} changed.`);
      }),
    );
  command
    .command("list")
    .description("List meter types, or the scalers of one of them")
    .argument("[type]", "a meter type whose scalers are listed")
    .option("--json", "for scripts")
    .action((type: string | undefined, options: { json?: true }) =>
      withSession(program, async ({ database }) => {
        const rows = type === undefined ? await listMeterTypes(database) : await listScalers(database, type);
        if (options.json) return program.print(JSON.stringify(rows, null, 2));
        program.print(
          textTable(rows.map(flat), type === undefined ? "There are no types." : `${type} has no scalers.`),
        );
      }),
    );
  return command;
}

const flat = (row: object): Record<string, string | number | null> =>
  Object.fromEntries(
    Object.entries(row).map(([name, value]) => [
      name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
      value as string | number | null,
    ]),
  );
