import type { Client, Database } from "./database.ts";

/** How long a daemon counts as alive without renewing its row; by the database's clock. */
export const ALIVE_SECONDS = 60;

export interface DaemonName {
  /** uuid, another one at each start */
  readonly id: string;
  /** For people: the machine. */
  readonly name: string;
}

/** By id of the meter, since when it is connected, in milliseconds since 1970 UTC. */
export type ConnectedSince = ReadonlyMap<string, number>;

/** Says that this daemon lives, and which meters have a connection to it, and no others: their polls come here. `nowMs`: see connectMeters. */
export async function announceDaemon(
  database: Database,
  daemon: DaemonName,
  connected: ConnectedSince,
  nowMs: number,
): Promise<void> {
  await database.transaction(async (client) => {
    await client.query(
      `INSERT INTO daemons (id, name, alive_until) VALUES ($1, $2, clock_timestamp() + make_interval(secs => ${ALIVE_SECONDS}))
       ON CONFLICT (id) DO UPDATE SET alive_until = excluded.alive_until`,
      [daemon.id, daemon.name],
    );
    await client.query("DELETE FROM meter_connections WHERE daemon_id = $1 AND meter_id <> ALL($2::uuid[])", [
      daemon.id,
      [...connected.keys()],
    ]);
    await noteConnections(client, daemon.id, connected, nowMs);
    await client.query("DELETE FROM daemons WHERE alive_until < clock_timestamp() - interval '1 day'");
  });
}

/**
 * Says that these meters have a connection to this daemon, too. `nowMs`: by the clock that schedules are fired by, in milliseconds since 1970
 * UTC; polls that failed while the meter wasn't connected are due again then.
 */
export function connectMeters(
  database: Database,
  daemonId: string,
  connected: ConnectedSince,
  nowMs: number,
): Promise<void> {
  return database.transaction((client) => noteConnections(client, daemonId, connected, nowMs));
}

/** At the end: what it held is free at once. */
export async function dismissDaemon(database: Database, daemonId: string): Promise<void> {
  await database.query("DELETE FROM daemons WHERE id = $1", [daemonId]);
}

/** The newest connection of a meter is the one that serves; an older one only where its daemon is the last that lives. */
async function noteConnections(
  client: Client,
  daemonId: string,
  connected: ConnectedSince,
  nowMs: number,
): Promise<void> {
  if (connected.size === 0) return;
  const meters = [...connected].sort(([a], [b]) => (a < b ? -1 : 1));
  const { rows } = await client.query(
    `INSERT INTO meter_connections AS had (meter_id, daemon_id, since)
     SELECT m.id, $1, to_timestamp(c.since / 1000.0) FROM unnest($2::uuid[], $3::float8[]) AS c(id, since)
       JOIN public.meters m ON m.id = c.id ORDER BY m.id
     ON CONFLICT (meter_id) DO UPDATE SET daemon_id = excluded.daemon_id, since = excluded.since
      WHERE excluded.since > had.since OR (had.daemon_id <> excluded.daemon_id
        AND NOT EXISTS (SELECT FROM daemons d WHERE d.id = had.daemon_id AND d.alive_until > clock_timestamp()))
     RETURNING meter_id`,
    [daemonId, meters.map(([meterId]) => meterId), meters.map(([, sinceMs]) => sinceMs)],
  );
  if (rows.length === 0) return;
  await client.query(
    `UPDATE poll_tasks p SET start_at = to_timestamp($2 / 1000.0)
      WHERE p.meter_id = ANY($1::uuid[]) AND p.leased_by IS NULL AND p.attempt > 0 AND p.start_at > to_timestamp($2 / 1000.0)`,
    [rows.map((row) => row.meter_id), nowMs],
  );
}
