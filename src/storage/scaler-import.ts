import type { Client, Database } from "./database.ts";
import { type CsvLine, ImportProblems, readCsvLines } from "./import-csv.ts";
import { LineReader } from "./meter-cells.ts";
import type { ImportOptions } from "./meter-import.ts";

/** `code` is another name of `obis`. */
export const SCALER_COLUMNS = ["meter_type", "obis", "code", "attribute", "scaler", "unit"] as const;

export interface ScalerImportReport {
  readonly created: number;
  readonly updated: number;
}

interface ScalerLine {
  readonly line: number;
  readonly meter_type: string;
  readonly obis_code: string;
  readonly attribute: number;
  readonly scaler: number;
  readonly unit: string | null;
}

/**
 * Says what the integers of meter types mean: raw × 10^scaler in `unit` (columns meter_type, obis, attribute, scaler, unit; attribute is 2
 * and the unit the catalogue's where they are empty).
 * @throws UserError naming every bad line; nothing is imported then
 */
export async function importScalers(
  database: Database,
  csvText: string,
  options: ImportOptions = {},
): Promise<ScalerImportReport> {
  const problems = new ImportProblems();
  const lines = readCsvLines(csvText, SCALER_COLUMNS, ["meter_type", "scaler"]).map((line) =>
    read(line, problems),
  );
  checkUnique(lines, problems);
  const { types, units } = await known(database);
  for (const { line, meter_type, unit } of lines) {
    if (meter_type !== "" && !types.has(meter_type)) {
      problems.add(line, `there is no meter type "${meter_type}"; there are ${[...types].join(", ")}`);
    }
    if (unit !== null && !units.has(unit)) {
      problems.add(line, `the unit "${unit}" is in no list; there are ${[...units].join(", ")}`);
    }
  }
  problems.throwIfAny();
  return database.transaction((client) => store(client, lines, options.dryRun ?? false));
}

function read(line: CsvLine, problems: ImportProblems): ScalerLine {
  const cells = new LineReader(line, problems);
  const obis = cells.text("obis") ?? cells.text("code") ?? "";
  const groups = obis.split(/[.:*-]/);
  if (groups.length !== 6 || !groups.every((group) => /^\d{1,3}$/.test(group) && Number(group) <= 255)) {
    cells.fail(`obis is "${obis}", not an OBIS code like 1.0.12.7.0.255`);
  }
  const scaler = cells.required("scaler");
  const power = Number(scaler);
  if (scaler !== "" && (!/^[+-]?\d+$/.test(scaler) || Math.abs(power) > 30)) {
    cells.fail(`scaler is "${scaler}", not a power of ten from -30 to 30`);
  }
  return {
    line: line.number,
    meter_type: cells.required("meter_type"),
    obis_code: groups.map(Number).join("."),
    attribute: cells.integer("attribute", 1, 127) ?? 2,
    scaler: power,
    unit: cells.text("unit"),
  };
}

function checkUnique(lines: readonly ScalerLine[], problems: ImportProblems): void {
  const seen = new Map<string, number>();
  for (const { line, meter_type, obis_code, attribute } of lines) {
    const object = `${meter_type} ${obis_code} attribute ${attribute}`;
    const before = seen.get(object);
    if (before !== undefined) problems.add(line, `${object} stands in line ${before} already`);
    else seen.set(object, line);
  }
}

async function known(database: Database) {
  const types = await database.query("SELECT name FROM meter_types ORDER BY name");
  const units = await database.query(
    "SELECT DISTINCT unit FROM obis_codes WHERE unit IS NOT NULL ORDER BY unit",
  );
  return {
    types: new Set(types.map((row) => row["name"] as string)),
    units: new Set(units.map((row) => row["unit"] as string)),
  };
}

async function store(
  client: Client,
  lines: readonly ScalerLine[],
  dryRun: boolean,
): Promise<ScalerImportReport> {
  const rows =
    "jsonb_to_recordset($1) AS x(meter_type text, obis_code text, attribute int, scaler int, unit text)";
  const parameters = [JSON.stringify(lines)];
  const same = "s.meter_type = x.meter_type AND s.obis_code = x.obis_code AND s.attribute = x.attribute";
  const { rows: counted } = await client.query(
    `SELECT count(*) FILTER (WHERE s.scaler IS NULL) AS created,
            count(*) FILTER (WHERE (s.scaler, s.unit) IS DISTINCT FROM (x.scaler, x.unit) AND s.scaler IS NOT NULL) AS updated
       FROM ${rows} LEFT JOIN meter_type_scalers s ON ${same}`,
    parameters,
  );
  if (!dryRun) {
    await client.query(
      `INSERT INTO meter_type_scalers AS s (meter_type, obis_code, attribute, scaler, unit)
       SELECT meter_type, obis_code, attribute, scaler, unit FROM ${rows}
       ON CONFLICT (meter_type, obis_code, attribute) DO UPDATE SET scaler = excluded.scaler, unit = excluded.unit
        WHERE (s.scaler, s.unit) IS DISTINCT FROM (excluded.scaler, excluded.unit)`,
      parameters,
    );
  }
  return { created: counted[0]!.created, updated: counted[0]!.updated };
}
