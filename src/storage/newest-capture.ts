import type { Database } from "./database.ts";

/** The newest capture of a load profile that is stored of a meter, in milliseconds since 1970 UTC; null: none. */
export async function newestCapture(
  database: Database,
  meterId: string,
  kind: "block" | "daily",
): Promise<number | null> {
  const [row] = await database.query("SELECT newest_capture($1, $2) AS newest", [meterId, kind]);
  return row!["newest"];
}
