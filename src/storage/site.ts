import type { Database } from "./database.ts";

/** The zone in which reports cut their days: that of the configuration. */
export async function writeSiteZone(database: Database, timeZone: string): Promise<void> {
  await database.query("UPDATE site SET time_zone = $1 WHERE time_zone <> $1", [timeZone]);
}
