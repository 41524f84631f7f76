import type { PushList } from "../catalogue/catalogue.ts";
import type { Database } from "./database.ts";
import { writeLists } from "./seed-catalogue.ts";

export interface PushListReport {
  /** Lists that were added or written anew. */
  readonly lists: number;
  /** Categories of the lists that no meter type has, so that nobody's pushes are explained by them yet. */
  readonly categoriesWithoutType: readonly string[];
}

/** Keeps lists of the user's own, in one transaction; running daemons read them at once. */
export function importPushLists(
  database: Database,
  lists: readonly PushList[],
  { dryRun }: { readonly dryRun: boolean },
): Promise<PushListReport> {
  return database.transaction(async (client) => {
    const written = dryRun ? lists.length : await writeLists(client, lists, { kind: "push", renew: "all" });
    const categories = [...new Set(lists.flatMap(({ category }) => category ?? []))];
    const { rows } = await client.query(
      "SELECT c FROM unnest($1::text[]) AS c WHERE NOT EXISTS (SELECT FROM meter_types t WHERE t.category = c) ORDER BY c",
      [categories],
    );
    return { lists: written, categoriesWithoutType: rows.map((row) => row.c as string) };
  });
}
