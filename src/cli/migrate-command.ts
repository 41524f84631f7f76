import { Command } from "commander";
import { loadConfig } from "../config.ts";
import { migrateConfigured, openConfiguredDatabase } from "../configured-database.ts";
import { createLog } from "../log.ts";
import type { Program } from "./program.ts";

export function migrateCommand(program: Program): Command {
  return new Command("migrate")
    .description(
      "Bring the database to the newest structure and the catalogue of obis/ into it; safe to repeat",
    )
    .option("--json", "for scripts")
    .action(async (options: { json?: true }) => {
      const { config } = loadConfig(program.configFile());
      const log = createLog({ ...config.log, level: "warn" });
      const opened = await openConfiguredDatabase(config, { log, poolMax: 3 });
      try {
        const report = await migrateConfigured(config, opened.database, { changeZone: true });
        if (options.json) return program.print(JSON.stringify(report));
        for (const name of report.applied) program.print(`applied ${name}`);
        if (report.catalogueSeeded) program.print("the catalogue of obis/ was brought in");
        program.print(
          `The database (${report.engine}) has ${report.current.length} migrations, ${report.applied.length} of them new.`,
        );
      } finally {
        await opened.close();
      }
    });
}
