import { Command } from "commander";
import { readPushLists } from "../catalogue/catalogue.ts";
import { CsvError } from "../catalogue/csv.ts";
import { EXIT, UserError } from "../exit.ts";
import { importPushLists } from "../storage/push-list-import.ts";
import type { Program } from "./program.ts";
import { withSession } from "./session.ts";

export function pushListsCommand(program: Program): Command {
  const command = new Command("push-lists").description(
    "Lists that say what the values of bodies without names are",
  );
  command
    .command("import")
    .description("Import lists of values by position; one with the same name and category is replaced")
    .argument(
      "<file>",
      "CSV as in obis/push-lists: standard, category, push_setup, kind, list, position, class_id, code, attribute, data_index",
    )
    .option("--dry-run", "check everything and change nothing")
    .option("--json", "for scripts")
    .action((file: string, options: { dryRun?: true; json?: true }) =>
      withSession(program, async ({ database }) => {
        const report = await importPushLists(database, read(file), { dryRun: options.dryRun ?? false });
        if (options.json) return program.print(JSON.stringify(report));
        program.print(`${report.lists} lists ${options.dryRun ? "would be" : "were"} imported.`);
        for (const category of report.categoriesWithoutType) {
          program.print(
            `No meter type is of category ${category} yet: no meter's pushes are explained by its lists.`,
          );
        }
      }),
    );
  return command;
}

function read(file: string) {
  try {
    return readPushLists(file);
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    throw new UserError(EXIT.data, `Nothing was imported: ${error.message}`, { cause: error });
  }
}
