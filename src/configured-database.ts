import { EXIT, UserError } from "./exit.ts";
import { DEFAULT_RETENTION_DAYS, type RetainedTable } from "./retention-settings.ts";
import { type Config, camel } from "./settings.ts";
import { type Database, openDatabase, ping } from "./storage/database.ts";
import type { EmbeddedLog, EmbeddedPostgres } from "./storage/embedded-server.ts";
import { type MigrationReport, migrate, pendingMigrations } from "./storage/migrate.ts";
import { StorageError } from "./storage/storage-error.ts";
import type { StoragePolicies } from "./storage/storage-policies.ts";

/** What a connection is for, and by that which role it has. */
export type DatabaseUse = "pushes" | "keys" | "structure";

export interface ConfiguredDatabase {
  readonly database: Database;
  /** Another pool on the same database, for what must not wait behind the main one; its opener closes it. */
  open(poolMax: number, use: DatabaseUse): Database;
  /** Why it can't be used now; null: it can. */
  readonly away: UserError | null;
  /** True for the embedded PostgreSQL. */
  readonly embedded: boolean;
  /** Pid of the embedded postmaster now. */
  embeddedPid(): number | null;
  /** Closes connections; stops the embedded server unless another process uses it. */
  close(): Promise<void>;
}

/** Migrating does one thing after the other, and looks at partitions meanwhile. */
const STRUCTURE_CONNECTIONS = 2;

export interface ConfiguredDatabaseOptions {
  readonly log: EmbeddedLog;
  readonly use: DatabaseUse;
  readonly poolMax?: number;
  /** Longest that a statement may take, or wait for a lock, in milliseconds; for ever where absent. */
  readonly patience?: { readonly statementTimeoutMs: number; readonly lockTimeoutMs: number };
  readonly onIdleError?: (error: StorageError) => void;
  readonly onEmbeddedExit?: (reason: string) => void;
  /** A database that is away, or only reads, is given back all the same, with the error that it would have been. Else one that only reads will do. */
  readonly mayBeAway?: boolean;
}

/** Opens the database that the configuration names: one by URL, or the embedded one, which is started where it isn't running. */
export async function openConfiguredDatabase(
  config: Config,
  options: ConfiguredDatabaseOptions,
): Promise<ConfiguredDatabase> {
  const { url, schema, poolMax } = config.database;
  const server = url === "" ? await startEmbedded(config, options.log) : null;
  if (server && options.onEmbeddedExit) server.onExit(options.onEmbeddedExit);
  const open = (connections: number, use: DatabaseUse) =>
    openDatabase({
      url: server?.url ?? urlFor(config, use),
      schema,
      poolMax: connections,
      ...options.patience,
      ...(options.onIdleError ? { onIdleError: options.onIdleError } : {}),
    });
  const database = open(options.poolMax ?? poolMax, options.use);
  const close = async () => {
    await database.close();
    await server?.stop();
  };
  let away: UserError | null = null;
  try {
    await ping(database, options.mayBeAway);
  } catch (error) {
    const isAway = error instanceof StorageError && error.retryable;
    if (isAway && options.mayBeAway === true) away = unreachable(url, error);
    else {
      await close();
      throw error instanceof StorageError ? unreachable(url, error) : error;
    }
  }
  return { database, open, away, embedded: server !== null, embeddedPid: () => server?.pid ?? null, close };
}

async function startEmbedded({ dataDir }: Config, log: EmbeddedLog): Promise<EmbeddedPostgres> {
  const { startEmbeddedPostgres } = await import("./storage/embedded-server.ts");
  return startEmbeddedPostgres({ dataDir, log });
}

/** The URL of a use, or of the nearest one that has less. */
function urlFor({ database: { url, keysUrl, migrateUrl } }: Config, use: DatabaseUse): string {
  if (use === "pushes") return url;
  return (use === "structure" && migrateUrl) || keysUrl || url;
}

/** What says so to a user. */
export function unreachable(url: string, error: StorageError): UserError {
  const where = URL.canParse(url) ? ` at ${new URL(url).host}` : "";
  return new UserError(
    EXIT.unavailable,
    `The database${where} can't be used: ${error.message} (setting database.url)`,
    {
      cause: error,
    },
  );
}

/** An empty database gets its tables; one that an older version made is left for `hes migrate`, which its operator runs. */
export async function requireMigrated(config: Config, opened: ConfiguredDatabase): Promise<void> {
  const pending = await pendingMigrations(opened.database);
  if (pending.length === 0) return;
  if (await isFresh(opened.database)) {
    await withStructure(opened, (database) => migrateConfigured(config, database));
    return;
  }
  throw new UserError(
    EXIT.unavailable,
    `The database lacks ${pending.join(", ")}: run \`hes migrate\` first (\`hes serve\` does it by itself where its role owns the tables).`,
  );
}

/** Brings the structure up to date where a role that owns it is configured; otherwise it must be. Null: nothing was to be done. */
export async function bringUpToDate(
  config: Config,
  opened: ConfiguredDatabase,
): Promise<MigrationReport | null> {
  return withStructure(opened, async (database) => {
    const [found] = await database.query(
      "SELECT pg_has_role(relowner, 'USAGE') AS owns FROM pg_class WHERE oid = to_regclass('schema_migrations')",
    );
    if (found?.["owns"] !== false) return migrateConfigured(config, database);
    await requireMigrated(config, opened);
    return null;
  });
}

async function withStructure<R>(
  opened: ConfiguredDatabase,
  work: (database: Database) => Promise<R>,
): Promise<R> {
  const database = opened.open(STRUCTURE_CONNECTIONS, "structure");
  try {
    return await work(database);
  } finally {
    await database.close();
  }
}

async function isFresh(database: Database): Promise<boolean> {
  const [row] = await database.query("SELECT to_regclass('public.meters') IS NULL AS fresh");
  return row?.["fresh"] === true;
}

/**
 * Migrates as the configuration says. `changeZone`: days that are cut in another zone than time.zone are cut anew.
 * @throws UserError where they are and may not be
 */
export async function migrateConfigured(
  config: Config,
  database: Database,
  options: { readonly changeZone?: boolean } = {},
): Promise<MigrationReport> {
  const report = await migrate(database, {
    timeZone: config.time.zone,
    policies: storagePolicies(config),
    changeZone: options.changeZone ?? false,
  });
  if (report.dayZone !== config.time.zone) {
    throw new UserError(
      EXIT.configuration,
      `The days of daily_load_profile are cut in ${report.dayZone}, and time.zone is ${config.time.zone}: ` +
        "run `hes migrate`, which cuts them anew, or set time.zone back.",
    );
  }
  return report;
}

export function storagePolicies(config: Config): StoragePolicies {
  const tables = Object.keys(DEFAULT_RETENTION_DAYS) as RetainedTable[];
  const days = config.retention as Readonly<Record<string, number>>;
  return {
    retentionDays: Object.fromEntries(tables.map((table) => [table, days[camel(table)]!])),
    partitionDays: config.database.partitionDays,
    compressAfterDays: config.database.compressAfterDays,
  };
}
