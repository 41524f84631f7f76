import type { KeyRing } from "../keys/key-ring.ts";
import { keyOctets } from "../keys/secret-text.ts";
import type { Client, Database } from "./database.ts";
import { type CsvLine, ImportProblems, readCsvLines } from "./import-csv.ts";
import { LineReader } from "./meter-cells.ts";
import { type NewKey, storeKeys } from "./meter-keys.ts";
import { findSharedKeys, type SharedKey } from "./shared-keys.ts";

export const METER_COLUMNS = [
  ...["meter_number", "meter_type", "manufacturer", "model", "logical_device_name", "system_title"],
  ...[
    "required_protection",
    "security_suite",
    "guek",
    "gak",
    "master_key",
    "framing",
    "mode",
    "host",
    "port",
  ],
  ...["server_sap", "deviation_sign", "time_zone", "group"],
  ...["transport", "physical_address", "gateway_network_id", "gateway_address"],
] as const;

export interface ImportOptions {
  /** Checks everything against the file and the database, and changes nothing. */
  readonly dryRun?: boolean;
}

export interface MeterImportReport {
  readonly created: number;
  readonly updated: number;
  readonly keysStored: number;
  /** Keys of these meters that other meters have too. */
  readonly sharedKeys: readonly SharedKey[];
  /** Types that the file named and nobody knew, with the category that their name suggests. */
  readonly typesCreated: readonly { readonly name: string; readonly category: string }[];
}

/** A meter of the file; null: the file says nothing, so what is there stays, or the default comes. */
interface MeterLine {
  readonly line: number;
  readonly meter_number: string;
  readonly meter_type: string;
  readonly manufacturer: string | null;
  readonly model: string | null;
  readonly logical_device_name: string | null;
  readonly system_title: string | null;
  readonly required_protection: number | null;
  readonly security_suite: number | null;
  readonly framing: string | null;
  readonly mode: string | null;
  readonly host: string | null;
  readonly port: number | null;
  readonly server_sap: number | null;
  readonly deviation_sign: string | null;
  readonly time_zone: string | null;
  readonly meter_group: string | null;
  readonly transport: string | null;
  readonly physical_address: number | null;
  readonly gateway_network_id: number | null;
  readonly gateway_address: string | null;
}

interface ReadMeter {
  readonly meter: MeterLine;
  readonly keys: readonly { readonly kind: NewKey["kind"]; readonly secret: Buffer }[];
}

/** The companion specification's category that a type's name suggests: `D1-GENUS` is D1, `IDIS-P2` is IDIS. */
export function guessCategory(meterType: string): string {
  const words = meterType.toUpperCase().split(/[^A-Z0-9]+/);
  const named = words.find((word) => /^(D[1-4]|[ABC]|IDIS|DSMR|ESMR|SMR)$/.test(word));
  if (named) return named === "ESMR" || named === "SMR" ? "DSMR" : named;
  return /^(D[1-4]|IDIS|DSMR)/.exec(words[0] ?? "")?.[1] ?? "unknown";
}

function readMeter(line: CsvLine, problems: ImportProblems): ReadMeter {
  const cells = new LineReader(line, problems);
  const suite = cells.integer("security_suite", 0, 2);
  const keyLength = keyOctets(suite ?? 0);
  const keys = (["guek", "gak", "master_key"] as const).flatMap((column) => {
    const secret = cells.key(column, keyLength, `security suite ${suite ?? 0}`);
    return secret ? [{ kind: column === "master_key" ? ("master" as const) : column, secret }] : [];
  });
  const mode = cells.oneOf("mode", ["listen", "dial"]);
  if (mode === "dial" && cells.text("host") === null) cells.fail("mode is dial, and host is empty");
  return {
    keys,
    meter: {
      line: line.number,
      meter_number: cells.required("meter_number"),
      meter_type: cells.required("meter_type"),
      manufacturer: cells.text("manufacturer"),
      model: cells.text("model"),
      logical_device_name: cells.text("logical_device_name"),
      system_title: cells.systemTitle("system_title"),
      required_protection: cells.protection("required_protection"),
      security_suite: suite,
      framing: cells.oneOf("framing", ["auto", "hdlc", "wrapper"]),
      mode,
      host: cells.host("host"),
      port: cells.integer("port", 1, 65_535),
      server_sap: cells.integer("server_sap", 0, 65_535),
      deviation_sign: cells.oneOf("deviation_sign", ["standard", "reversed"]),
      time_zone: cells.timeZone("time_zone"),
      meter_group: cells.text("group"),
      transport: cells.oneOf("transport", ["tcp", "udp", "serial"]),
      physical_address: cells.integer("physical_address", 0, 16_383),
      gateway_network_id: cells.integer("gateway_network_id", 0, 255),
      gateway_address: cells.octets("gateway_address")?.toString("hex") ?? null,
    },
  };
}

/** Two lines that claim the same number or title. */
function checkUnique(meters: readonly MeterLine[], problems: ImportProblems): void {
  for (const column of ["meter_number", "system_title"] as const) {
    const seen = new Map<string, number>();
    for (const meter of meters) {
      const value = meter[column];
      if (value === null || value === "") continue;
      const before = seen.get(value);
      if (before !== undefined)
        problems.add(meter.line, `${column} ${value} stands in line ${before} already`);
      else seen.set(value, meter.line);
    }
  }
}

/**
 * Adds the meters of a CSV file (columns METER_COLUMNS, header first), and changes those that are there by what the file says.
 * @throws UserError naming every bad line; nothing is imported then
 */
export async function importMeters(
  database: Database,
  ring: KeyRing,
  csvText: string,
  options: ImportOptions = {},
): Promise<MeterImportReport> {
  const problems = new ImportProblems();
  const read = readCsvLines(csvText, METER_COLUMNS, ["meter_number", "meter_type"]).map((line) =>
    readMeter(line, problems),
  );
  const meters = read.map(({ meter }) => meter);
  checkUnique(meters, problems);
  problems.throwIfAny();
  const dryRun = Symbol("dry run");
  let report: MeterImportReport | undefined;
  try {
    await database.transaction(async (client) => {
      await checkTitles(client, meters, problems);
      problems.throwIfAny();
      const typesCreated = await createTypes(client, meters);
      const changed = await writeMeters(client, meters);
      const keys = read.flatMap(({ meter, keys: own }) =>
        own.map((key) => ({ ...key, meterId: changed.ids.get(meter.meter_number)!, clientSap: null })),
      );
      const keysStored = await storeKeys(client, ring, keys);
      const sharedKeys = await findSharedKeys(client, [...changed.ids.values()]);
      report = { created: changed.created, updated: changed.updated, keysStored, sharedKeys, typesCreated };
      if (options.dryRun) throw dryRun;
    });
  } catch (error) {
    if (error !== dryRun) throw error;
  }
  return report!;
}

/** A system title that another meter of the database has. */
async function checkTitles(
  client: Client,
  meters: readonly MeterLine[],
  problems: ImportProblems,
): Promise<void> {
  const { rows } = await client.query(
    `SELECT x.line, x.system_title, m.meter_number FROM jsonb_to_recordset($1) AS x(line int, meter_number text, system_title text)
       JOIN public.meters m ON m.system_title = x.system_title AND m.meter_number <> x.meter_number`,
    [JSON.stringify(meters)],
  );
  for (const row of rows) {
    problems.add(row.line, `system_title ${row.system_title} is that of meter ${row.meter_number}`);
  }
}

async function createTypes(client: Client, meters: readonly MeterLine[]) {
  const names = [...new Set(meters.map(({ meter_type }) => meter_type))];
  const { rows } = await client.query(
    `INSERT INTO meter_types (name, category, description)
     SELECT name, category, 'made by an import of meters' FROM unnest($1::text[], $2::text[]) AS x(name, category)
     ON CONFLICT (name) DO NOTHING RETURNING name, category`,
    [names, names.map(guessCategory)],
  );
  return rows as { name: string; category: string }[];
}

const DEFAULTS: Partial<Record<keyof MeterLine, string>> = {
  required_protection: "48",
  security_suite: "0",
  framing: "'auto'",
  mode: "'listen'",
  deviation_sign: "'standard'",
  transport: "'tcp'",
};
const NUMBERS = new Set<keyof MeterLine>([
  "required_protection",
  "security_suite",
  "port",
  "server_sap",
  "physical_address",
  "gateway_network_id",
]);

async function writeMeters(client: Client, meters: readonly MeterLine[]) {
  const columns = (Object.keys(meters[0] ?? {}) as (keyof MeterLine)[]).filter((name) => name !== "line");
  if (columns.length === 0) return { ids: new Map<string, string>(), created: 0, updated: 0 };
  const shape = columns.map((name) => `${name} ${NUMBERS.has(name) ? "int" : "text"}`).join(", ");
  const rows = `jsonb_to_recordset($1) AS x(${shape})`;
  const others = columns.filter((name) => name !== "meter_number");
  const json = JSON.stringify(meters);
  const updated = await client.query(
    `UPDATE public.meters m SET ${others.map((name) => `${name} = coalesce(x.${name}, m.${name})`).join(", ")}
       FROM ${rows} WHERE m.meter_number = x.meter_number
        AND (${others.map((name) => `x.${name} <> m.${name} OR (x.${name} IS NOT NULL AND m.${name} IS NULL)`).join(" OR ")})`,
    [json],
  );
  const value = (name: keyof MeterLine) =>
    DEFAULTS[name] === undefined ? `x.${name}` : `coalesce(x.${name}, ${DEFAULTS[name]})`;
  const created = await client.query(
    `INSERT INTO public.meters (${columns.join(", ")}) SELECT ${columns.map(value).join(", ")} FROM ${rows}
     ON CONFLICT (meter_number) DO NOTHING`,
    [json],
  );
  const found = await client.query(
    "SELECT id, meter_number FROM public.meters WHERE meter_number = ANY($1)",
    [meters.map(({ meter_number }) => meter_number)],
  );
  return {
    ids: new Map(found.rows.map((row) => [row.meter_number as string, row.id as string])),
    created: created.rowCount ?? 0,
    updated: updated.rowCount ?? 0,
  };
}
