import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { type Database, openDatabase } from "../../src/storage/database.ts";
import { migrate } from "../../src/storage/migrate.ts";
import { HYPERTABLES } from "../../src/storage/timescale.ts";
import { fill } from "../bench/fill.ts";
import { MAIN } from "../support/daemon.ts";
import { exactly, type Figure } from "./figures.ts";

export interface AdoptionOptions {
  /** Of a PostgreSQL that has TimescaleDB to offer, as superuser. */
  readonly serverUrl: string;
  /** In all; so many databases are adopted, one after the other, as they take. */
  readonly kills: number;
  readonly rows: number;
  readonly meters: number;
  readonly random: () => number;
}

const ZONE = "Asia/Kolkata";
/** Where an adoption is killed, in turn: a moment within this of the first line of its progress that says so. */
const PHASES = [
  { name: "copying", line: /copied/, jitterMs: 1_500 },
  { name: "swapping", line: /voltage_measurements: .*\((\d+) of \1\)/, jitterMs: 300 },
  { name: "making days", line: /taken the place|days are made/, jitterMs: 1_000 },
  { name: "anywhere", line: /./, jitterMs: 4_000 },
] as const;
const POLICIES =
  "SELECT job_id AS id FROM timescaledb_information.jobs WHERE proc_name = 'policy_refresh_continuous_aggregate'";

/** Databases of plain PostgreSQL become TimescaleDB's while the command that does it is killed again and again. */
export async function adoption(options: AdoptionOptions): Promise<Figure[]> {
  const killed: Record<string, number> = {};
  let [total, databases, kept, days, structures] = [0, 0, 0, 0, 0];
  for (; total < options.kills; databases++) {
    const one = await adopted(options, (phase) => {
      killed[phase] = (killed[phase] ?? 0) + 1;
      total++;
      return total < options.kills;
    });
    kept += one.sameRows ? 1 : 0;
    days += one.sameDays ? 1 : 0;
    structures += one.sameStructure ? 1 : 0;
  }
  const kills = Object.entries(killed).map(([phase, count]) => `${count} ${phase}`);
  return [
    { name: "killed while", value: kills.join(", ") },
    exactly("databases with the same rows, none twice", kept, databases),
    exactly("with the same days, before and after the policies' refresh", days, databases),
    exactly("with the same keys and references", structures, databases),
  ];
}

async function adopted(
  { serverUrl, rows, meters, random }: AdoptionOptions,
  /** Whether to go on with killing. */
  onKilled: (phase: string) => boolean,
) {
  const name = `adoption_${randomBytes(6).toString("hex")}`;
  const admin = openDatabase({ url: serverUrl, schema: "public", poolMax: 1 });
  await admin.query(`CREATE DATABASE ${name} TEMPLATE template0`);
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  const database = openDatabase({ url: url.href, schema: "hes" });
  try {
    await migrate(database, { timeZone: ZONE });
    await database.query(
      `INSERT INTO public.meters (meter_number, meter_type) SELECT n, 'D1' FROM generate_series(1, ${meters}) n`,
    );
    await fill(database, { rows, until: Date.now(), timeZone: ZONE });
    const [contents, keys] = [await contentsOf(database), await keysOf(database)];
    await database.query("CREATE EXTENSION timescaledb");
    for (let killing = true; killing; ) {
      const { line, jitterMs, name: phase } = PHASES[Math.floor(random() * PHASES.length)]!;
      // What ends by itself has nothing left to do.
      killing = (await migrateUntil(url.href, line, random() * jitterMs)) && onKilled(phase);
    }
    await migrateUntil(url.href);
    const after = await contentsOf(database);
    for (const { id } of await database.query(POLICIES)) await database.query(`CALL run_job(${id})`);
    const refreshed = await contentsOf(database);
    const same = (table: string) => after[table] === contents[table] && refreshed[table] === contents[table];
    return {
      sameRows: HYPERTABLES.every(same) && (await hypertables(database)) === HYPERTABLES.length,
      sameDays: same("daily_load_profile"),
      sameStructure: (await keysOf(database)) === keys,
    };
  } finally {
    await database.close();
    await admin.query(`DROP DATABASE ${name} WITH (FORCE)`);
    await admin.close();
  }
}

/** Runs `hes migrate --adopt-timescaledb`; where a line is given, kills it so long after that line. Whether it was killed. */
async function migrateUntil(url: string, line?: RegExp, afterMs = 0): Promise<boolean> {
  if (MAIN === undefined) throw new Error("dist/src/main.js is missing: npm run build");
  const folder = mkdtempSync(join(tmpdir(), "hes-adoption-"));
  const child: ChildProcess = spawn(process.execPath, [MAIN, "migrate", "--adopt-timescaledb"], {
    env: {
      ...{ PATH: process.env["PATH"], HOME: process.env["HOME"] },
      ...{ HES_DATA_DIR: folder, HES_DATABASE__URL: url, HES_TIME__ZONE: ZONE },
    },
    stdio: ["ignore", "ignore", "pipe"],
  });
  const ended = once(child, "exit");
  let told = "";
  let timer: NodeJS.Timeout | undefined;
  createInterface({ input: child.stderr! }).on("line", (text) => {
    told += `${text}\n`;
    if (line?.test(text)) timer ??= setTimeout(() => child.kill("SIGKILL"), afterMs);
  });
  const [code, signal] = (await ended) as [number | null, string | null];
  clearTimeout(timer);
  rmSync(folder, { recursive: true, force: true });
  if (signal === null && code !== 0) throw new Error(`hes migrate ended with ${code}:\n${told}`);
  return signal === "SIGKILL";
}

/** Of each table how many rows it has and a digest of them, whatever order they lie in; sums come out by the order of what was added. */
async function contentsOf(database: Database): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const table of [...HYPERTABLES, "daily_load_profile"]) {
    const text = table === "daily_load_profile" ? `(to_jsonb(t) || ${ROUNDED})::text` : "t::text";
    const [row] = await database.query(
      `SELECT count(*) || ' ' || coalesce(md5(string_agg(h, '' ORDER BY h)), '') AS contents FROM (SELECT md5(${text}) AS h FROM ${table} t) d`,
    );
    found[table] = row!["contents"];
  }
  return found;
}

const ROUNDED = `jsonb_build_object(${["consumption_wh", "block_sum_import_wh", "difference_wh"]
  .map((column) => `'${column}', round(${column}::numeric, 3)`)
  .join(", ")})`;

async function keysOf(database: Database): Promise<string> {
  const rows = await database.query(
    `SELECT conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid) AS key FROM pg_constraint
      WHERE conrelid = ANY($1::regclass[]) AND conparentid = 0 ORDER BY 1`,
    [HYPERTABLES],
  );
  return rows.map(({ key }) => key).join("\n");
}

async function hypertables(database: Database): Promise<number> {
  const [row] = await database.query(
    "SELECT count(*)::int AS n FROM timescaledb_information.hypertables WHERE hypertable_schema IN ('hes', 'public')",
  );
  return row!["n"];
}
