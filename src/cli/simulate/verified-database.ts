import type { Fleet } from "../../../simulator/fleet.ts";
import { loadConfig } from "../../config.ts";
import { EXIT, UserError } from "../../exit.ts";
import { type Database, openDatabase, ping } from "../../storage/database.ts";
import { pendingMigrations } from "../../storage/migrate.ts";
import { StorageError } from "../../storage/storage-error.ts";
import type { Program } from "../program.ts";
import { withSession } from "../session.ts";

const CONNECTIONS = 2;

/**
 * Runs `work` on the database that a fleet is verified in.
 * @param where its URL; true: the configured one
 * @throws UserError where it can't be reached or isn't a head-end's
 */
export async function inVerifiedDatabase<R>(
  program: Program,
  where: string | true,
  work: (database: Database) => Promise<R>,
): Promise<R> {
  if (where === true) {
    let result: { readonly of: R } | null = null;
    await withSession(program, async ({ database }) => {
      result = { of: await work(database) };
    });
    return result!.of;
  }
  const name = nameOf(where);
  const { schema } = loadConfig(program.configFile()).config.database;
  const database = openDatabase({ url: where, schema, poolMax: CONNECTIONS });
  try {
    await ping(database);
    const pending = await pendingMigrations(database);
    if (pending.length > 0) {
      throw new UserError(
        EXIT.unavailable,
        `--verify: the database at ${name} has no tables of a head-end of this version (it lacks ${pending[0]}): name the database that the daemon stores in, or run \`hes migrate\``,
      );
    }
    return await work(database);
  } catch (error) {
    if (!(error instanceof StorageError)) throw error;
    throw new UserError(
      EXIT.unavailable,
      `--verify: the database at ${name} can't be used: ${error.message}`,
      {
        cause: error,
      },
    );
  } finally {
    await database.close();
  }
}

/** What of the URL may be shown: no password. */
function nameOf(url: string): string {
  const parsed = URL.canParse(url) ? new URL(url) : null;
  if (parsed === null || !/^postgres(ql)?:$/.test(parsed.protocol)) {
    throw new UserError(
      EXIT.usage,
      `--verify: "${url}" is no URL of a database; write postgres://USER:PASSWORD@HOST:PORT/NAME, or nothing for the configured one`,
    );
  }
  return parsed.host + parsed.pathname;
}

/** @throws UserError where a meter of the fleet isn't known there: none of what it pushes would be stored */
export async function requireFleet(database: Database, { plans }: Fleet): Promise<void> {
  const numbers = plans.map(({ meterNumber }) => meterNumber);
  const [found] = await database.query(
    "SELECT count(*) AS known FROM public.meters WHERE meter_number = ANY($1)",
    [numbers],
  );
  const missing = numbers.length - found!["known"];
  if (missing === 0) return;
  throw new UserError(
    EXIT.data,
    `--verify: ${missing} of ${numbers.length} meters are not in this database: import them (--import), and name the database that the daemon stores in`,
  );
}
