import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Catalogue } from "../catalogue/catalogue.ts";
import { catalogueDigest } from "../catalogue/catalogue-digest.ts";
import { ensureDays } from "./daily-load-days.ts";
import { type Client, type Database, type QueryRow, quoteIdentifier } from "./database.ts";
import { openPartitions } from "./partitions.ts";
import { grantRoles } from "./roles.ts";
import { isSeededFrom, seedCatalogue } from "./seed-catalogue.ts";
import { StorageError, storageError } from "./storage-error.ts";
import { applyStoragePolicies, type StoragePolicies } from "./storage-policies.ts";
import {
  makeCompatibilityViews,
  type TimescaleCapabilities,
  timescaleCapabilities,
  translate,
} from "./timescale.ts";
import { followPolicies } from "./timescale-policies.ts";

export interface MigrationOptions {
  /** Days and hypertable aggregates are cut in this zone (IANA name). */
  readonly timeZone?: string;
  /** Where the .sql files lie; default: the package's own. */
  readonly directory?: string;
  /** What is known of objects, lists and events; default: the package's own. Null: nothing is seeded. */
  readonly catalogue?: Catalogue | null;
  /** Partitions are made around this instant, in milliseconds. */
  readonly now?: number;
  /** Retention, width of partitions, compression; default: what storage_policies says. */
  readonly policies?: StoragePolicies;
  /** Cut the days of daily_load_profile anew where they are cut in another zone. */
  readonly changeZone?: boolean;
}

export interface MigrationReport {
  readonly engine: "postgresql" | "timescaledb";
  /** Names of the files applied now. */
  readonly applied: readonly string[];
  /** Names of all files applied now or before. */
  readonly current: readonly string[];
  /** Whether the catalogue was new, and its rows were added or renewed. */
  readonly catalogueSeeded: boolean;
  /** The zone that the days of daily_load_profile are cut in. */
  readonly dayZone: string;
  /** Roles that the migrating role may not make, and that nothing could be granted to. */
  readonly rolesMissing: readonly string[];
}

interface Migration {
  readonly name: string;
  readonly sql: string;
  readonly checksum: string;
}

const DEFAULT_ZONE = "Asia/Kolkata";

/** Held while migrating, so that two daemons starting together do it once. */
const ADVISORY_LOCK = 0x686573;

/** Nearest directory above this file that has `name`: the same from src/ and from dist/src/. */
export function packageDirectory(name: string): string {
  for (let at = dirname(fileURLToPath(import.meta.url)); at !== dirname(at); at = dirname(at)) {
    if (existsSync(join(at, name)) && existsSync(join(at, "package.json"))) return join(at, name);
  }
  throw new StorageError(
    "internal",
    `The package is incomplete: no directory ${name}/ above ${import.meta.url}.`,
  );
}

export async function readMigrations(directory = packageDirectory("migrations")): Promise<Migration[]> {
  const names = (await readdir(directory)).filter((name) => name.endsWith(".sql")).sort();
  return Promise.all(
    names.map(async (name) => {
      const sql = await readFile(join(directory, name), "utf8");
      return { name, sql, checksum: createHash("sha256").update(sql).digest("hex") };
    }),
  );
}

/** Brings the database to the newest structure; safe to call by several daemons at once, and again. */
export async function migrate(database: Database, options: MigrationOptions = {}): Promise<MigrationReport> {
  const migrations = await readMigrations(options.directory);
  const report = await database.withClient(async (client) => {
    await client.query("SELECT pg_advisory_lock($1)", [ADVISORY_LOCK]);
    try {
      return await applyAll(client, database.schema, migrations, options);
    } finally {
      await client.query("SELECT pg_advisory_unlock($1)", [ADVISORY_LOCK]).catch(() => undefined);
    }
  });
  if (options.policies) await applyStoragePolicies(database, options.policies);
  const partitions = await openPartitions(database);
  const now = options.now ?? Date.now();
  await partitions.ensureAround(now);
  await followPolicies(database, now);
  return { ...report, catalogueSeeded: await bringCatalogue(database, options.catalogue) };
}

/** Reading the package's own takes a while, in which nothing else is done: only where it isn't the one that is there. */
async function bringCatalogue(database: Database, catalogue: Catalogue | null | undefined): Promise<boolean> {
  if (catalogue === null) return false;
  if (catalogue !== undefined) return seedCatalogue(database, catalogue);
  const files = catalogueDigest();
  if (await isSeededFrom(database, files)) return false;
  const { loadCatalogue } = await import("../catalogue/catalogue.ts");
  return seedCatalogue(database, loadCatalogue(), files);
}

/** Names of migrations that this program knows and the database lacks; `migrate` would apply them. */
export async function pendingMigrations(database: Database): Promise<string[]> {
  const names = new Set(await appliedMigrations(database));
  return (await readMigrations()).filter(({ name }) => !names.has(name)).map(({ name }) => name);
}

/** Names of migrations that the database has and this program doesn't know: a newer version made them. */
export async function unknownMigrations(database: Database): Promise<string[]> {
  const known = new Set((await readMigrations()).map(({ name }) => name));
  return (await appliedMigrations(database)).filter((name) => !known.has(name));
}

async function appliedMigrations(database: Database): Promise<string[]> {
  const [found] = await database.query("SELECT to_regclass($1) AS table", [
    `${quoteIdentifier(database.schema)}.schema_migrations`,
  ]);
  const applied = found?.["table"] ? await database.query("SELECT name FROM schema_migrations") : [];
  return applied.map((row: QueryRow) => row["name"] as string);
}

async function applyAll(
  client: Client,
  schema: string,
  migrations: readonly Migration[],
  options: MigrationOptions,
): Promise<Omit<MigrationReport, "catalogueSeeded">> {
  await client.query(`CREATE SCHEMA IF NOT EXISTS ${quoteIdentifier(schema)}`);
  await client.query(
    `CREATE TABLE IF NOT EXISTS schema_migrations (name text PRIMARY KEY, checksum text NOT NULL,
       engine text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())`,
  );
  const { rows } = await client.query("SELECT name, checksum, engine FROM schema_migrations ORDER BY name");
  const done = new Map(rows.map((row) => [row.name as string, row]));
  checkHistory(migrations, done);
  const timescale = await timescaleCapabilities(client);
  // A database that began as plain PostgreSQL stays so: a partitioned table can't become a hypertable.
  const began = rows[0]?.engine as MigrationReport["engine"] | undefined;
  const engine = began ?? (timescale ? "timescaledb" : "postgresql");
  const applied: string[] = [];
  for (const migration of migrations) {
    if (done.has(migration.name)) continue;
    await applyOne(client, migration, engine, timescale, options.timeZone ?? DEFAULT_ZONE);
    applied.push(migration.name);
  }
  const zone = options.timeZone ?? DEFAULT_ZONE;
  const days = (await hasTable(client, "daily_load_history"))
    ? await ensureDays(client, engine === "timescaledb" ? timescale : null, zone, options.changeZone ?? false)
    : { timeZone: zone, remade: false };
  if (applied.length > 0 || days.remade) await makeCompatibilityViews(client, schema);
  const rolesMissing = (await hasTable(client, "meter_keys")) ? await grantRoles(client, schema) : [];
  const current = migrations.map(({ name }) => name);
  return { engine, applied, current, dayZone: days.timeZone, rolesMissing };
}

/** False for a database of a test's own migrations. */
async function hasTable(client: Client, name: string): Promise<boolean> {
  const { rows } = await client.query("SELECT to_regclass($1) IS NOT NULL AS there", [name]);
  return rows[0]!.there as boolean;
}

function checkHistory(migrations: readonly Migration[], done: ReadonlyMap<string, QueryRow>): void {
  const known = new Map(migrations.map((migration) => [migration.name, migration]));
  for (const [name, row] of done) {
    const migration = known.get(name);
    if (!migration) {
      throw new StorageError(
        "internal",
        `The database has migration ${name}, which this version doesn't know: it was migrated by a newer version.`,
      );
    }
    if (migration.checksum !== row["checksum"]) {
      throw new StorageError(
        "internal",
        `Migration ${name} was changed after it had been applied to this database.`,
      );
    }
  }
}

/**
 * SQLSTATEs of a server that went away during a migration, or was put to reading only: the same migration is tried again at once. A full disk, or no room for
 * locks, is there until somebody sees to it.
 */
const GONE = /^(08|57P|25006)/;

async function applyOne(
  client: Client,
  { name, sql, checksum }: Migration,
  engine: MigrationReport["engine"],
  timescale: TimescaleCapabilities | null,
  timeZone: string,
): Promise<void> {
  await client.query("BEGIN");
  try {
    if (engine === "timescaledb" && timescale) {
      await client.query(translate(sql, timescale, timeZone));
    } else {
      await client.query(sql);
    }
    await client.query("INSERT INTO schema_migrations (name, checksum, engine) VALUES ($1, $2, $3)", [
      name,
      checksum,
      engine,
    ]);
    await client.query("COMMIT");
  } catch (error) {
    await client.query("ROLLBACK").catch(() => undefined);
    const known = storageError(error);
    const { sqlState, retryable } =
      known instanceof StorageError ? known : { sqlState: null, retryable: false };
    const isGone = retryable && (sqlState === null || GONE.test(sqlState));
    throw new StorageError(
      isGone ? "unavailable" : "internal",
      `Migration ${name} failed: ${(known as Error).message}`,
      { sqlState, cause: error },
    );
  }
}
