import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { packageDirectory } from "./migrate.ts";

export interface ExampleQuery {
  /** Name of its file, such as 01-consumption-per-day.sql. */
  readonly file: string;
  /** What its first line says about it. */
  readonly title: string;
  readonly sql: string;
}

/** The queries of docs/queries, which the page of the schema shows and a test runs on every engine. */
export async function exampleQueries(): Promise<ExampleQuery[]> {
  const directory = join(packageDirectory("docs"), "queries");
  const files = (await readdir(directory)).filter((name) => name.endsWith(".sql")).sort();
  return Promise.all(
    files.map(async (file) => {
      const sql = await readFile(join(directory, file), "utf8");
      return { file, title: sql.slice(0, sql.indexOf("\n")).replace(/^-- /, ""), sql };
    }),
  );
}
