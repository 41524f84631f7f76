import type { Database } from "./database.ts";

interface Diagram {
  readonly title: string;
  readonly tables: readonly string[];
}

/** What belongs together; a table that stands in none of these comes with the last. */
const DIAGRAMS: readonly Diagram[] = [
  {
    title: "Meters and what they measure",
    tables: [
      "meters",
      "meter_readings",
      "meter_events",
      "energy_measurements",
      "power_readings",
      "voltage_measurements",
      "current_measurements",
      "instant_profile",
      "block_load_profile",
      "daily_load_profile",
      "billing_profile",
      "obis_codes",
    ],
  },
  {
    title: "Pushes, polls and when they are due",
    tables: [
      "push_schedules",
      "schedule_entries",
      "push_history",
      "push_objects",
      "push_object_entries",
      "push_setups",
      "schedule_firings",
      "schedule_marks",
      "poll_tasks",
    ],
  },
  {
    title: "Meters, their types and their keys",
    tables: [
      "meters",
      "meter_types",
      "meter_type_quirks",
      "meter_type_scalers",
      "meter_keys",
      "meter_associations",
      "meter_certificates",
      "association_counters",
      "invocation_counters",
      "sent_counters",
    ],
  },
  {
    title: "What meters of a model have told of themselves",
    tables: ["meter_types", "meter_models", "model_profiles", "model_scalers"],
  },
  { title: "What happened, what waits, and everything else", tables: [] },
];

interface Entity {
  readonly name: string;
  readonly keys: readonly { name: string; type: string; role: "PK" | "FK" | "PK, FK" }[];
}

interface Relation {
  readonly source: string;
  readonly target: string;
  readonly column: string;
  readonly required: boolean;
}

/** Mermaid diagrams of all tables that have to do with another: primary and foreign keys, and which refers to which. */
export async function entityDiagrams(database: Database): Promise<string[]> {
  const schemas = ["public", database.schema];
  const [entities, relations] = await Promise.all([
    database.query(ENTITIES, [schemas]) as Promise<Entity[]>,
    database.query(RELATIONS, [schemas]) as Promise<Relation[]>,
  ]);
  const placed = new Set(DIAGRAMS.flatMap(({ tables }) => tables));
  const lines: string[] = [];
  for (const { title, tables } of DIAGRAMS) {
    const own = new Set(
      tables.length > 0 ? tables : entities.map(({ name }) => name).filter((n) => !placed.has(n)),
    );
    const drawn = relations.filter(
      ({ source, target }) => own.has(source) && (own.has(target) || target === "meters"),
    );
    const shown = entities.filter(({ name }) =>
      drawn.some(({ source, target }) => name === source || name === target),
    );
    lines.push("", `### ${title}`, "", "```mermaid", "erDiagram");
    // Many tables around one: below each other they can be read.
    if (!title.startsWith("Pushes")) lines.push("  direction LR");
    for (const { source, target, column, required } of drawn) {
      lines.push(`  ${target} ${required ? "||" : "|o"}--o{ ${source} : "${column}"`);
    }
    for (const { name, keys } of shown) {
      lines.push(`  ${name} {`, ...keys.map((key) => `    ${key.type} ${key.name} ${key.role}`), "  }");
    }
    lines.push("```");
  }
  return lines;
}

const KEYED = `
  SELECT c.conrelid, k.attnum, bool_or(c.contype = 'p') AS pk, bool_or(c.contype = 'f') AS fk, min(k.n) FILTER (WHERE c.contype = 'p') AS n
    FROM pg_constraint c, unnest(c.conkey) WITH ORDINALITY k(attnum, n)
   WHERE c.contype IN ('p', 'f') AND c.conparentid = 0 GROUP BY 1, 2`;

const ENTITIES = `
  SELECT t.relname AS name,
         json_agg(json_build_object('name', a.attname, 'type', CASE format_type(a.atttypid, a.atttypmod) WHEN 'timestamp with time zone' THEN 'timestamptz'
             ELSE replace(format_type(a.atttypid, a.atttypmod), ' ', '_') END,
           'role', concat_ws(', ', CASE WHEN k.pk THEN 'PK' END, CASE WHEN k.fk THEN 'FK' END)) ORDER BY k.n NULLS LAST, a.attnum) AS keys
    FROM (${KEYED}) k JOIN pg_class t ON t.oid = k.conrelid JOIN pg_namespace n ON n.oid = t.relnamespace
    JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = k.attnum
   WHERE n.nspname = ANY($1) AND NOT t.relispartition GROUP BY t.relname ORDER BY t.relname COLLATE "C"`;

const RELATIONS = `
  SELECT t.relname AS source, f.relname AS target, a.attname AS column, a.attnotnull AS required
    FROM pg_constraint c JOIN pg_class t ON t.oid = c.conrelid JOIN pg_namespace n ON n.oid = t.relnamespace
    JOIN pg_class f ON f.oid = c.confrelid JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = c.conkey[1]
   WHERE n.nspname = ANY($1) AND c.contype = 'f' AND c.conparentid = 0
   ORDER BY f.relname COLLATE "C", t.relname COLLATE "C", a.attname COLLATE "C"`;
