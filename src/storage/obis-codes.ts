import type { Database } from "./database.ts";
import type { CodeRegistry } from "./ingest-stores.ts";

/** Registers codes that no list names; `reload` makes the mapping's configuration know them. */
export function openCodeRegistry(database: Database, reload: () => Promise<void>): CodeRegistry {
  return {
    register: async (objects) => {
      const sorted = [...objects].sort((a, b) => (a.code < b.code ? -1 : a.code > b.code ? 1 : 0));
      await database.query(
        `INSERT INTO obis_codes (code, class_id, attribute, description, standard)
         SELECT DISTINCT ON (code, attribute) code, class_id, attribute, 'sent by a meter, in no list', 'unknown'
           FROM unnest($1::text[], $2::int[], $3::smallint[]) AS x(code, class_id, attribute)
          ORDER BY code, attribute
         ON CONFLICT (code, attribute) DO NOTHING`,
        [sorted.map((o) => o.code), sorted.map((o) => o.classId), sorted.map((o) => o.attribute)],
      );
      const rows = await database.query(
        "SELECT code, min(id) AS id FROM obis_codes WHERE code = ANY($1) GROUP BY code",
        [sorted.map((o) => o.code)],
      );
      await reload();
      return new Map(rows.map((row) => [row["code"] as string, row["id"] as number]));
    },
  };
}
