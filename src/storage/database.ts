import pg from "pg";
import { onlyReads, StorageError, storageError } from "./storage-error.ts";

export interface DatabaseConfig {
  readonly url: string;
  /** Home of the operational tables; `public` holds meters, meter_readings and meter_events. */
  readonly schema: string;
  readonly poolMax?: number;
  readonly connectTimeoutMs?: number;
  /** Longest that a statement may take; for ever where absent. */
  readonly statementTimeoutMs?: number;
  /** Longest that a statement may wait for somebody's lock; for ever where absent. */
  readonly lockTimeoutMs?: number;
  /** Called when an idle connection is lost; the pool replaces it. */
  readonly onIdleError?: (error: StorageError) => void;
}

export type Client = pg.PoolClient;
export type Parameters = readonly unknown[];
// biome-ignore lint/suspicious/noExplicitAny: rows have the shape that the query gives them
export type QueryRow = Record<string, any>;

/** Instants are milliseconds in this project, and bigint columns are counts and identifiers below 2⁵³. */
const TYPES: pg.CustomTypesConfig = {
  getTypeParser: ((oid: number, format: "text" | "binary" = "text") => {
    const parse = pg.types.getTypeParser(oid, format) as (text: string) => unknown;
    if (format === "text" && oid === pg.types.builtins.INT8) return Number;
    if (format === "text" && oid === pg.types.builtins.TIMESTAMPTZ)
      return (text: string) => Number(parse(text));
    return parse;
  }) as typeof pg.types.getTypeParser,
};

/** A pool of connections whose search_path finds the operational schema and then `public`. */
export interface Database {
  readonly schema: string;
  readonly pool: pg.Pool;
  query<R extends QueryRow = QueryRow>(sql: string, parameters?: Parameters): Promise<R[]>;
  /** Runs `work` on one connection between BEGIN and COMMIT. */
  transaction<R>(work: (client: Client) => Promise<R>): Promise<R>;
  /** Runs `work` on one connection without a transaction. */
  withClient<R>(work: (client: Client) => Promise<R>): Promise<R>;
  /** Calls `onNotify` for each notification, and `onGap` when some may have been missed (after a reconnect). */
  listen(channel: string, onNotify: (payload: string) => void, onGap: () => void): Promise<Listener>;
  close(): Promise<void>;
}

export interface Listener {
  /** Resolves when everything is told that was committed before the call. Throws `unavailable` while it isn't connected. */
  caughtUp(): Promise<void>;
  close(): Promise<void>;
}

export const quoteIdentifier = (name: string) => `"${name.replaceAll('"', '""')}"`;

export function openDatabase(config: DatabaseConfig): Database {
  const sessionSettings =
    `SET search_path TO ${quoteIdentifier(config.schema)}, public; ` +
    // jit: compiling takes longer than anything that we ask.
    "SET timezone TO 'UTC'; SET datestyle TO 'ISO'; SET synchronous_commit TO on; SET jit TO off; " +
    `SET statement_timeout TO ${config.statementTimeoutMs ?? 0}; SET lock_timeout TO ${config.lockTimeoutMs ?? 0}; ` +
    // TimescaleDB: late rows of many meters may open more than the default of 100,000 rows of the columnstore.
    "SELECT set_config(name, '0', false) FROM pg_settings WHERE name = 'timescaledb.max_tuples_decompressed_per_dml_transaction'";
  const clientConfig = {
    connectionString: config.url,
    connectionTimeoutMillis: config.connectTimeoutMs ?? 5_000,
    application_name: "dlms-hes",
    types: TYPES,
    keepAlive: true,
  };
  const pool = new pg.Pool({
    ...clientConfig,
    max: config.poolMax ?? 10,
    onConnect: (client) => client.query(sessionSettings) as unknown as undefined,
  });
  // Without a listener the reset of an idle connection would end the process.
  pool.on("error", (error) =>
    config.onIdleError?.(new StorageError("unavailable", error.message, { cause: error })),
  );
  const withClient = async <R>(work: (client: Client) => Promise<R>): Promise<R> => {
    const client = await pool.connect().catch((error: unknown) => {
      throw storageError(error);
    });
    // A connection reset between two statements emits on the client; the statement's own promise rejects as well.
    let lost: Error | undefined;
    const onError = (error: Error) => {
      lost = error;
    };
    client.on("error", onError);
    try {
      return await work(client);
    } catch (error) {
      const known = storageError(error);
      if (known instanceof StorageError && known.code === "unavailable") lost ??= known;
      throw known;
    } finally {
      client.off("error", onError);
      client.release(lost);
    }
  };
  return {
    schema: config.schema,
    pool,
    withClient,
    query: (sql, parameters) =>
      withClient(async (client) => (await client.query(sql, parameters as unknown[])).rows),
    transaction: (work) => withClient((client) => inTransaction(client, work)),
    listen: (channel, onNotify, onGap) => listen(() => new pg.Client(clientConfig), channel, onNotify, onGap),
    close: () => pool.end(),
  };
}

async function inTransaction<R>(client: Client, work: (client: Client) => Promise<R>): Promise<R> {
  await client.query("BEGIN");
  try {
    const result = await work(client);
    await client.query("COMMIT");
    return result;
  } catch (error) {
    await client.query("ROLLBACK").catch(() => undefined);
    throw error;
  }
}

const RECONNECT_MS = 1_000;

async function listen(
  connect: () => pg.Client,
  channel: string,
  onNotify: (payload: string) => void,
  onGap: () => void,
): Promise<Listener> {
  let client: pg.Client | null = null;
  let timer: NodeJS.Timeout | null = null;
  let closed = false;
  const again = () => {
    client = null;
    if (closed || timer) return;
    timer = setTimeout(() => {
      timer = null;
      open().then(onGap, again);
    }, RECONNECT_MS).unref();
  };
  const open = async () => {
    const next = connect();
    let usable = false;
    next.on("notification", (message) => onNotify(message.payload ?? ""));
    next.on("error", () => undefined);
    next.on("end", () => {
      if (usable) again();
    });
    try {
      await next.connect();
      await next.query(`LISTEN ${quoteIdentifier(channel)}`);
    } catch (error) {
      await next.end().catch(() => undefined);
      throw storageError(error);
    }
    usable = true;
    if (closed) await next.end();
    else client = next;
  };
  await open();
  return {
    // The server tells a session what it listens for before it says that a statement is done.
    caughtUp: async () => {
      if (client === null) throw new StorageError("unavailable", `not connected to hear of "${channel}"`);
      await client.query("SELECT").catch((error: unknown) => {
        throw storageError(error);
      });
    },
    close: async () => {
      closed = true;
      if (timer) clearTimeout(timer);
      await client?.end().catch(() => undefined);
    },
  };
}

/** Answers once the database does, and, `toWrite`, can be written: a standby only reads. Throws `unavailable` otherwise. */
export async function ping(database: Database, toWrite = false): Promise<void> {
  // What is thrown inside ends the connection: the next one may lead to another server.
  await database.withClient(async (client) => {
    const { rows } = await client.query(
      "SELECT 1 AS one, current_setting('transaction_read_only') = 'on' AS only_reads",
    );
    if (rows[0]?.one !== 1) throw new StorageError("unavailable", "The database answers nonsense.");
    if (toWrite && rows[0].only_reads) throw onlyReads("transaction_read_only is on");
  });
}
