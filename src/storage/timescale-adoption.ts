import { EXIT, UserError } from "../exit.ts";
import {
  type Adopted,
  type CopyProgress,
  copyTable,
  prepareProgress,
  qualified,
  qualifiedCopy,
} from "./adoption-copy.ts";
import { keepHistory } from "./daily-load-days.ts";
import { type Client, type Database, type QueryRow, quoteIdentifier } from "./database.ts";
import { setAsideViews } from "./dependent-views.ts";
import { grantRoles } from "./roles.ts";
import {
  HYPERTABLES,
  makeCompatibilityViews,
  type TimescaleCapabilities,
  timescaleCapabilities,
} from "./timescale.ts";
import { refreshAllDays } from "./timescale-daily.ts";
import { DAILY_LOAD_HISTORY, dailyAggregate } from "./timescale-daily-definition.ts";
import { followPolicies } from "./timescale-policies.ts";

export interface AdoptionOptions {
  /** IANA name of the zone that days are cut in. */
  readonly timeZone: string;
  readonly onProgress?: (progress: AdoptionProgress) => void;
  /** How long writers are waited for before the operator is asked to stop the daemons. */
  readonly lockWaitMs?: number;
}

export type AdoptionProgress =
  | ({ readonly step: "copied" | "already there" } & CopyProgress)
  | { readonly step: "swapped"; readonly tables: readonly string[] }
  /** Milliseconds since 1970. */
  | { readonly step: "days"; readonly to: number; readonly until: number };

export interface AdoptionReport {
  /** Tables that are hypertables now and weren't before. */
  readonly tables: readonly string[];
  readonly rows: number;
  /** Whether daily_load_profile became a view over continuous aggregates. */
  readonly dailyAggregate: boolean;
}

/** Held while adopting, beside the locks on the tables. */
const ADOPTION_LOCK = 0x61646f70;
const LOCK_WAIT_MS = 10_000;

/**
 * Makes hypertables of the partitioned tables of a database that was plain PostgreSQL, by copying: a partitioned table can't become one.
 * While it runs one transaction holds the tables against writers. Each partition is copied in a transaction of its own and compared with its
 * original; a second run goes on where the first one ended, and copies again what was changed in between. The originals are dropped
 * in the one transaction that puts the copies in their place. The days are made last; a second run makes those that are missing.
 * @throws UserError where the extension is missing or somebody writes; nothing is changed then
 */
export async function adoptTimescale(database: Database, options: AdoptionOptions): Promise<AdoptionReport> {
  return database.withClient(async (client) => {
    const timescale = await timescaleCapabilities(client);
    if (!timescale) {
      throw new UserError(
        EXIT.unavailable,
        "TimescaleDB isn't in this database: CREATE EXTENSION timescaledb, as its superuser, and try again.",
      );
    }
    await client.query("SELECT pg_advisory_lock($1)", [ADOPTION_LOCK]);
    try {
      return await adopt(database, client, timescale, options);
    } finally {
      await client.query("SELECT pg_advisory_unlock($1)", [ADOPTION_LOCK]).catch(() => undefined);
    }
  });
}

async function adopt(
  database: Database,
  client: Client,
  timescale: TimescaleCapabilities,
  options: AdoptionOptions,
): Promise<AdoptionReport> {
  const onProgress = options.onProgress ?? (() => {});
  const tables = await partitionedTables(client, database.schema);
  const daily = timescale.community && !(await isView(client, "daily_load_profile"));
  await prepareProgress(client);
  let rows = 0;
  await client.query("BEGIN");
  try {
    await holdAgainstWriters(client, tables, options.lockWaitMs ?? LOCK_WAIT_MS);
    for (const table of tables) {
      rows += await copyTable(database, timescale, table, (step, progress) =>
        onProgress({ step, ...progress }),
      );
    }
    const views = await setAsideViews(client, [
      ...tables.map(qualified),
      ...(daily ? ["daily_load_profile"] : []),
    ]);
    for (const table of tables) await swap(client, table);
    if (daily) await swapDaily(client, timescale, options.timeZone);
    await client.query("UPDATE schema_migrations SET engine = 'timescaledb'");
    await client.query("DROP TABLE timescale_adoption");
    await views.restore();
    await makeCompatibilityViews(client, database.schema);
    await client.query("COMMIT");
  } catch (error) {
    await client.query("ROLLBACK").catch(() => undefined);
    throw error;
  }
  onProgress({ step: "swapped", tables: tables.map(({ name }) => name) });
  await grantRoles(client, database.schema);
  // Also where the tables were adopted by a run that was broken off here: what is made already takes no time.
  if (await isView(client, "daily_load_profile")) {
    await refreshAllDays(client, options.timeZone, ({ to, until }) =>
      onProgress({ step: "days", to, until }),
    );
  }
  await followPolicies(database, Date.now());
  return { tables: tables.map(({ name }) => name), rows, dailyAggregate: daily };
}

async function partitionedTables(client: Client, schema: string): Promise<Adopted[]> {
  const { rows } = await client.query(
    `SELECT n.nspname AS schema, c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE c.relkind = 'p' AND n.nspname IN ('public', $1) AND c.relname = ANY($2) ORDER BY c.relname`,
    [schema, HYPERTABLES],
  );
  return rows as Adopted[];
}

async function isView(client: Client, name: string): Promise<boolean> {
  const { rows } = await client.query("SELECT relkind = 'v' AS view FROM pg_class WHERE oid = $1::regclass", [
    name,
  ]);
  return rows[0]?.view === true;
}

/** SHARE lets everybody read and nobody write, until the end of the transaction. */
async function holdAgainstWriters(
  client: Client,
  tables: readonly Adopted[],
  lockWaitMs: number,
): Promise<void> {
  if (tables.length === 0) return;
  await client.query(`SET LOCAL lock_timeout TO ${lockWaitMs}`);
  try {
    await client.query(`LOCK TABLE ${tables.map(qualified).join(", ")} IN SHARE MODE`);
  } catch (error) {
    throw new UserError(
      EXIT.unavailable,
      `Somebody writes into the tables that are to be copied: stop the daemons first. (${(error as Error).message})`,
      { cause: error },
    );
  }
  await client.query("SET LOCAL lock_timeout TO 0");
}

/** The copy takes the name, the constraints' and indexes' names, and the foreign keys of the original. */
async function swap(client: Client, table: Adopted): Promise<void> {
  const { rows: keys } = await client.query(
    `SELECT conname AS name, pg_get_constraintdef(oid) AS definition FROM pg_constraint
      WHERE conrelid = $1::regclass AND contype = 'f' AND conparentid = 0`,
    [qualified(table)],
  );
  const [original, copy] = [
    await namesOf(client, qualified(table)),
    await namesOf(client, qualifiedCopy(table)),
  ];
  await client.query(`DROP TABLE ${qualified(table)}`);
  await client.query(`ALTER TABLE ${qualifiedCopy(table)} RENAME TO ${quoteIdentifier(table.name)}`);
  for (const { name, definition } of copy) {
    const before = original.find((one) => one["definition"] === definition);
    if (!before || before["name"] === name) continue;
    const kind = before["constraint"] ? `TABLE ${qualified(table)} RENAME CONSTRAINT` : null;
    const from = quoteIdentifier(name);
    const to = quoteIdentifier(before["name"]);
    if (kind) await client.query(`ALTER ${kind} ${from} TO ${to}`);
    else await client.query(`ALTER INDEX ${quoteIdentifier(table.schema)}.${from} RENAME TO ${to}`);
  }
  for (const { name, definition } of keys) {
    await client.query(
      `ALTER TABLE ${qualified(table)} ADD CONSTRAINT ${quoteIdentifier(name)} ${definition}`,
    );
  }
}

/** Constraints but foreign keys, and indexes without a constraint, by what they say. */
async function namesOf(client: Client, relation: string): Promise<QueryRow[]> {
  const { rows } = await client.query(
    `SELECT conname AS name, pg_get_constraintdef(oid) AS definition, true AS "constraint" FROM pg_constraint
      WHERE conrelid = $1::regclass AND contype <> 'f' AND conparentid = 0
     UNION ALL
     SELECT c.relname, regexp_replace(pg_get_indexdef(i.indexrelid), ' INDEX .* USING ', ' INDEX '), false
       FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
      WHERE i.indrelid = $1::regclass AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid)`,
    [relation],
  );
  return rows;
}

/** Days that raw rows can't give any more stay as rows of daily_load_history. */
async function swapDaily(client: Client, { home }: TimescaleCapabilities, timeZone: string): Promise<void> {
  await client.query(DAILY_LOAD_HISTORY);
  await keepHistory(client, timeZone);
  await client.query("DROP TABLE daily_load_profile");
  await client.query(dailyAggregate(home, timeZone));
}
