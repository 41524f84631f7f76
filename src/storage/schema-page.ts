import type { Database, QueryRow } from "./database.ts";
import { entityDiagrams } from "./entity-diagram.ts";
import { exampleQueries } from "./example-queries.ts";

/** docs/reference/schema.md, from a migrated database on plain PostgreSQL. A test compares the file with this. */
export async function schemaPage(database: Database): Promise<string> {
  const schemas = ["public", database.schema];
  const [tables, columns, constraints, indexes, triggers] = await Promise.all([
    database.query(TABLES, [schemas]),
    database.query(COLUMNS, [schemas]),
    database.query(CONSTRAINTS, [schemas]),
    database.query(INDEXES, [schemas]),
    database.query(TRIGGERS, [schemas]),
  ]);
  const of = (rows: readonly QueryRow[], table: QueryRow) =>
    rows.filter((row) => row["oid"] === table["oid"]);
  const lines = [
    "# Tables",
    "",
    "Made from the migrated database by `npm test`; not written by hand. What a migration changes shows here as a difference.",
    "On TimescaleDB the partitioned tables of measurements, readings, instantaneous and block load profiles are hypertables, and",
    "`daily_load_profile` is a view over continuous aggregates; columns are the same.",
    "",
    "## How they belong together",
    "",
    "Every table of values refers to `meters`. Only keys are drawn: PK is a column of the primary key, FK one that refers to another table; where no",
    "line begins at it, that table is in another diagram. All columns follow below, table by table. A line ends in a crow's foot at the table with",
    "many rows for one of the other; a circle says that there may be none.",
    ...(await entityDiagrams(database)),
    "",
    "## Queries to begin with",
    "",
    "They stand in `docs/queries/`, run with `search_path` = hes, public, and a test runs them on PostgreSQL and on TimescaleDB.",
  ];
  for (const { file, title, sql } of await exampleQueries()) {
    lines.push(
      "",
      `### ${title}`,
      "",
      `\`${file}\``,
      "",
      "```sql",
      sql.trimEnd().split("\n").slice(1).join("\n"),
      "```",
    );
  }
  for (const table of tables) {
    lines.push("", `## ${table["schema"]}.${table["name"]}`, "");
    if (table["partition"]) lines.push(`Partitioned: ${table["partition"]}`, "");
    lines.push("| column | type | |", "|---|---|---|");
    for (const column of of(columns, table)) {
      lines.push(`| ${column["name"]} | ${column["type"]} | ${column["extra"].replaceAll("|", "\\|")} |`);
    }
    const rules = of(constraints, table).map((row) => `- ${row["definition"]}`);
    const others = [
      ...of(indexes, table).map((row) => `- ${row["definition"]}`),
      ...of(triggers, table).map((row) => `- trigger ${row["name"]}`),
    ];
    if (rules.length + others.length > 0) lines.push("", ...rules, ...others);
  }
  return `${lines.join("\n")}\n`;
}

const TABLES = `
  SELECT c.oid::int AS oid, n.nspname AS schema, c.relname AS name, pg_get_partkeydef(c.oid) AS partition
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE n.nspname = ANY($1) AND c.relkind IN ('r', 'p') AND NOT c.relispartition
   ORDER BY n.nspname <> 'public', c.relname COLLATE "C"`;

const COLUMNS = `
  SELECT a.attrelid::int AS oid, a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type,
         concat_ws(', ', CASE WHEN a.attnotnull THEN 'not null' END,
           CASE a.attidentity WHEN '' THEN NULL ELSE 'identity' END,
           CASE WHEN a.attgenerated <> '' THEN 'generated' WHEN d.adbin IS NOT NULL THEN 'default ' || pg_get_expr(d.adbin, d.adrelid) END) AS extra
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
   WHERE n.nspname = ANY($1) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attrelid, a.attnum`;

const CONSTRAINTS = `
  SELECT c.conrelid::int AS oid, pg_get_constraintdef(c.oid) AS definition
    FROM pg_constraint c JOIN pg_namespace n ON n.oid = c.connamespace
   WHERE n.nspname = ANY($1) AND c.contype IN ('p', 'u', 'f', 'c') AND c.conparentid = 0
   ORDER BY array_position('{p,u,f,c}', c.contype::text), c.conname COLLATE "C"`;

const INDEXES = `
  SELECT i.indrelid::int AS oid,
         regexp_replace(pg_get_indexdef(i.indexrelid), '^CREATE (UNIQUE )?INDEX (\\S+) ON (ONLY )?\\S+ USING \\S+ ', '\\1index \\2 ') AS definition
    FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE n.nspname = ANY($1) AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid)
   ORDER BY c.relname COLLATE "C", pg_get_indexdef(i.indexrelid) COLLATE "C"`;

const TRIGGERS = `
  SELECT t.tgrelid::int AS oid, t.tgname AS name FROM pg_trigger t
    JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE n.nspname = ANY($1) AND NOT t.tgisinternal AND t.tgparentid = 0 ORDER BY t.tgname COLLATE "C"`;
