import type { Database } from "./database.ts";

/** How long a daemon counts as alive without renewing its row; by the database's clock. */
export const ALIVE_SECONDS = 60;

/** Says that this daemon lives, and which meters have a connection to it: their polls come here. */
export async function announceDaemon(
  database: Database,
  daemon: { readonly id: string; readonly name: string },
  connectedMeters: readonly string[],
): Promise<void> {
  await database.transaction(async (client) => {
    await client.query(
      `INSERT INTO daemons (id, name, alive_until) VALUES ($1, $2, clock_timestamp() + make_interval(secs => ${ALIVE_SECONDS}))
       ON CONFLICT (id) DO UPDATE SET alive_until = excluded.alive_until`,
      [daemon.id, daemon.name],
    );
    await client.query("DELETE FROM meter_connections WHERE daemon_id = $1 AND meter_id <> ALL($2::uuid[])", [
      daemon.id,
      connectedMeters,
    ]);
    // The newest connection of a meter is the one that serves.
    await client.query(
      `INSERT INTO meter_connections (meter_id, daemon_id) SELECT m.id, $1 FROM unnest($2::uuid[]) AS c(id)
         JOIN public.meters m ON m.id = c.id ORDER BY m.id
       ON CONFLICT (meter_id) DO UPDATE SET daemon_id = excluded.daemon_id, since = now()
        WHERE meter_connections.daemon_id <> excluded.daemon_id
          AND NOT EXISTS (SELECT FROM daemons d WHERE d.id = meter_connections.daemon_id AND d.alive_until > clock_timestamp())`,
      [daemon.id, [...connectedMeters].sort()],
    );
    await client.query("DELETE FROM daemons WHERE alive_until < clock_timestamp() - interval '1 day'");
  });
}

/** At the end: what it held is free at once. */
export async function dismissDaemon(database: Database, daemonId: string): Promise<void> {
  await database.query("DELETE FROM daemons WHERE id = $1", [daemonId]);
}
