import { Command } from "commander";
import { loadConfig } from "../config.ts";
import { migrateConfigured, openConfiguredDatabase } from "../configured-database.ts";
import { createLog } from "../log.ts";
import type { MigrationReport } from "../storage/migrate.ts";
import { type AdoptionProgress, type AdoptionReport, adoptTimescale } from "../storage/timescale-adoption.ts";
import type { Program } from "./program.ts";

export function migrateCommand(program: Program): Command {
  return new Command("migrate")
    .description(
      "Bring the database to the newest structure and the catalogue of obis/ into it; safe to repeat",
    )
    .option(
      "--adopt-timescaledb",
      "copy the tables of plain PostgreSQL into hypertables; the daemons must be stopped",
    )
    .option("--json", "for scripts")
    .action(async (options: { adoptTimescaledb?: true; json?: true }) => {
      const { config } = loadConfig(program.configFile());
      const log = createLog({ ...config.log, level: "warn" });
      const opened = await openConfiguredDatabase(config, { log, use: "structure", poolMax: 3 });
      try {
        const report = await migrateConfigured(config, opened.database, { changeZone: true });
        if (!options.json) tell(program, report);
        const adoption = options.adoptTimescaledb
          ? await adoptTimescale(opened.database, {
              timeZone: config.time.zone,
              onProgress: (progress) => program.complain(progressLine(progress)),
            })
          : null;
        if (options.json)
          return program.print(JSON.stringify({ ...report, ...(adoption ? { adoption } : {}) }));
        if (adoption) program.print(adoptionLine(adoption));
      } finally {
        await opened.close();
      }
    });
}

function tell(program: Program, report: MigrationReport): void {
  for (const name of report.applied) program.print(`applied ${name}`);
  if (report.catalogueSeeded) program.print("the catalogue of obis/ was brought in");
  program.print(
    `The database (${report.engine}) has ${report.current.length} migrations, ${report.applied.length} of them new.`,
  );
  if (report.rolesMissing.length > 0) program.complain(rolesLine(report.rolesMissing));
}

const rolesLine = (missing: readonly string[]) =>
  `The roles ${missing.join(", ")} are missing, and this one may not make them: see "Roles" in docs/operating/security.md.`;

function progressLine(progress: AdoptionProgress): string {
  if (progress.step === "swapped") return "the copies have taken the place of their originals";
  if (progress.step === "days") {
    return `days are made up to ${new Date(progress.to).toISOString().slice(0, 10)} of ${new Date(progress.until).toISOString().slice(0, 10)}`;
  }
  const { step, table, partition, rows, done, partitions } = progress;
  return `${table}: ${partition} ${step}, ${rows} rows (${done} of ${partitions})`;
}

const adoptionLine = ({ tables, rows, dailyAggregate }: AdoptionReport) =>
  tables.length === 0 && !dailyAggregate
    ? "Nothing was left to adopt."
    : `${tables.length} tables with ${rows} rows are hypertables now${dailyAggregate ? ", and daily_load_profile is a continuous aggregate" : ""}.`;
