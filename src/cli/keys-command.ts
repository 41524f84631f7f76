import { Command } from "commander";
import { EXIT, UserError } from "../exit.ts";
import { counted, countedWere } from "../finding.ts";
import { importKeys, KEY_COLUMNS } from "../storage/key-import.ts";
import { type ListedKey, listKeys } from "../storage/reference-lists.ts";
import { skipSentCounters } from "../storage/sent-counters.ts";
import { findSharedKeys } from "../storage/shared-keys.ts";
import { readText } from "./input.ts";
import type { Program } from "./program.ts";
import { rekeyCommand } from "./rekey-command.ts";
import { restartCountersCommand } from "./restart-counters-command.ts";
import { rotateCommand } from "./rotate-command.ts";
import { withSession } from "./session.ts";
import { sharedKeyWarnings } from "./shared-keys-text.ts";
import { instant, textTable } from "./text-table.ts";

export function keysCommand(program: Program): Command {
  const command = new Command("keys").description("Associations of meters and their keys");
  for (const sub of [
    importCommand(program),
    listCommand(program),
    rotateCommand(program),
    rekeyCommand(program),
    skipCountersCommand(program),
    restartCountersCommand(program),
  ]) {
    command.addCommand(sub);
  }
  return command;
}

function importCommand(program: Program): Command {
  return new Command("import")
    .description(
      "Import associations and their own keys from a CSV file, one line an association; meters come first",
    )
    .argument("<file>", `CSV: ${KEY_COLUMNS.join(", ")}; - for standard input`)
    .option("--dry-run", "check everything and change nothing")
    .option("--json", "for scripts")
    .action((file: string, options: { dryRun?: true; json?: true }) =>
      withSession(program, async ({ database, ring }) => {
        const report = await importKeys(database, await ring(), readText(file), {
          dryRun: options.dryRun ?? false,
        });
        if (options.json) return program.print(JSON.stringify(report));
        const associations = countedWere(report.associations, "association", options.dryRun ?? false);
        program.print(`${associations} imported, ${counted(report.keysStored, "key")} of them new.`);
        for (const warning of sharedKeyWarnings(report.sharedKeys)) program.complain(warning);
      }),
    );
}

function skipCountersCommand(program: Program): Command {
  return new Command("skip-counters")
    .description(
      "After a copy of PostgreSQL's files was put back: skip the invocation counters that may have been used since. Other restores are noticed",
    )
    .action(() =>
      withSession(program, async ({ database }) => {
        const keys = await skipSentCounters(database);
        program.print(`Counters of ${keys} keys were skipped.`);
      }),
    );
}

function listCommand(program: Program): Command {
  return new Command("list")
    .description("List keys by meter, kind and state; never the keys themselves")
    .argument("[meter]", "a meter's number; all meters where absent")
    .option("--shared", "list the keys that several meters have instead")
    .option("--json", "for scripts")
    .action((meter: string | undefined, options: { shared?: true; json?: true }) =>
      withSession(program, async ({ database }) => {
        if (options.shared && meter !== undefined) {
          throw new UserError(EXIT.usage, "--shared looks at the keys of all meters: name none");
        }
        if (options.shared) {
          const shared = await database.withClient((client) => findSharedKeys(client));
          if (options.json) return program.print(JSON.stringify(shared, null, 2));
          const rows = shared.map((key) => ({
            kind: key.kinds,
            meters: key.meterCount,
            such_as: key.meters.join(" "),
          }));
          return program.print(textTable(rows, "No key is shared by several meters."));
        }
        const keys = await listKeys(database, meter ?? null);
        if (options.json) return program.print(JSON.stringify(keys, null, 2));
        program.print(textTable(keys.map(listed), "There are no keys."));
      }),
    );
}

const listed = (key: ListedKey) => ({
  meter: key.meterNumber,
  kind: key.kind,
  client_sap: key.clientSap ?? "all",
  state: key.state,
  id: key.keyId,
  system_title: key.systemTitle,
  counter: key.counter,
  shared_with: key.sharedWith === 0 ? null : `${key.sharedWith} meters`,
  created: instant(key.createdAt),
});
