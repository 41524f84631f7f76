import { Command } from "commander";
import { importKeys } from "../storage/key-import.ts";
import { listKeys } from "../storage/reference-lists.ts";
import { readText } from "./input.ts";
import type { Program } from "./program.ts";
import { withSession } from "./session.ts";
import { instant, textTable } from "./text-table.ts";

export function keysCommand(program: Program): Command {
  const command = new Command("keys").description("Associations of meters and their keys");
  command
    .command("import")
    .description(
      "Import associations and their own keys from a CSV file, one line an association; meters come first",
    )
    .argument(
      "<file>",
      "CSV: meter_number, client_sap, mechanism, secret, guek, gak, dedicated; - for standard input",
    )
    .option("--dry-run", "check everything and change nothing")
    .option("--json", "for scripts")
    .action((file: string, options: { dryRun?: true; json?: true }) =>
      withSession(program, async ({ database, ring }) => {
        const report = await importKeys(database, ring(), readText(file), {
          dryRun: options.dryRun ?? false,
        });
        if (options.json) return program.print(JSON.stringify(report));
        const done = options.dryRun ? "would be imported" : "imported";
        program.print(`${report.associations} associations ${done}, ${report.keysStored} keys of them new.`);
      }),
    );
  command
    .command("list")
    .description("List keys by meter, kind and state; never the keys themselves")
    .argument("[meter]", "a meter's number; all meters where absent")
    .option("--json", "for scripts")
    .action((meter: string | undefined, options: { json?: true }) =>
      withSession(program, async ({ database }) => {
        const keys = await listKeys(database, meter ?? null);
        if (options.json) return program.print(JSON.stringify(keys, null, 2));
        const rows = keys.map((key) => ({
          meter: key.meterNumber,
          kind: key.kind,
          client_sap: key.clientSap ?? "all",
          state: key.state,
          id: key.keyId,
          system_title: key.systemTitle,
          counter: key.counter,
          created: instant(key.createdAt),
        }));
        program.print(textTable(rows, "There are no keys."));
      }),
    );
  return command;
}
