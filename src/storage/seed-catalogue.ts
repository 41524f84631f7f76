import { createHash } from "node:crypto";
import type { Catalogue, PushList } from "../catalogue/catalogue.ts";
import type { Client, Database } from "./database.ts";

/**
 * Brings the catalogue of `obis/` into the tables that mapping is configured by: adds what is missing and renews what nobody changed. Rows that a
 * user wrote or changed stay as they are, and so does what a newer catalogue no longer has. Answers whether there was anything to do.
 *
 * @param files what `isSeededFrom` asks by, from then on
 */
export function seedCatalogue(
  database: Database,
  catalogue: Catalogue,
  files: string | null = null,
): Promise<boolean> {
  const { byCode: _, ...content } = catalogue;
  const checksum = createHash("sha256").update(JSON.stringify(content)).digest("hex");
  return database.transaction(async (client) => {
    await client.query("LOCK TABLE catalogue_seeds IN EXCLUSIVE MODE");
    const { rows } = await client.query(
      "SELECT checksum FROM catalogue_seeds ORDER BY seeded_at DESC LIMIT 1",
    );
    if (rows[0]?.checksum === checksum) {
      await client.query("UPDATE catalogue_seeds SET files = $2 WHERE checksum = $1", [checksum, files]);
      return false;
    }
    await client.query("SET LOCAL hes.seeding = 'on'");
    await seedObjects(client, catalogue);
    await seedMeterTypes(client, catalogue);
    await seedScalers(client, catalogue);
    await seedEvents(client, catalogue);
    await writeLists(client, catalogue.pushLists, { kind: "push", renew: "untouched" });
    await writeLists(client, catalogue.pollLists, { kind: "poll", renew: "untouched" });
    await client.query(
      `INSERT INTO catalogue_seeds (checksum, files) VALUES ($1, $2)
       ON CONFLICT (checksum) DO UPDATE SET seeded_at = clock_timestamp(), files = excluded.files`,
      [checksum, files],
    );
    return true;
  });
}

/** Whether what was brought in last was read from these files. */
export async function isSeededFrom(database: Database, files: string): Promise<boolean> {
  const [last] = await database.query("SELECT files FROM catalogue_seeds ORDER BY seeded_at DESC LIMIT 1");
  return last?.["files"] === files;
}

async function seedObjects(client: Client, { objects }: Catalogue): Promise<void> {
  await client.query(
    `INSERT INTO obis_codes AS o (code, attribute, class_id, description, unit, data_type, quantity, phase, tariff,
       destination_table, destination_column, profile_column, standard)
     SELECT DISTINCT ON (n.code, n.attribute) n.code, n.attribute, n."classId", n.description, n.unit, n."dataType", n.quantity, n.phase,
            n.tariff, n.table, n.column, n."profileColumn", n.standard
       FROM jsonb_to_recordset($1) AS n(code text, attribute smallint, "classId" int, description text, unit text, "dataType" text,
         quantity text, phase text, tariff smallint, "table" text, "column" text, "profileColumn" text, standard text)
      ORDER BY n.code, n.attribute
     ON CONFLICT (code, attribute) DO UPDATE SET class_id = excluded.class_id, description = excluded.description,
       unit = excluded.unit, data_type = excluded.data_type, quantity = excluded.quantity, phase = excluded.phase,
       tariff = excluded.tariff, destination_table = excluded.destination_table, profile_column = excluded.profile_column,
       destination_column = excluded.destination_column, standard = excluded.standard
     WHERE NOT o.customised`,
    [JSON.stringify(objects)],
  );
}

async function seedMeterTypes(client: Client, { meterTypes }: Catalogue): Promise<void> {
  await client.query(
    `INSERT INTO meter_types AS t (name, category, description, interval_seconds)
     SELECT DISTINCT ON (name) name, category, description, "intervalSeconds"
       FROM jsonb_to_recordset($1) AS n(name text, category text, description text, "intervalSeconds" int) ORDER BY name
     ON CONFLICT (name) DO UPDATE SET category = excluded.category, description = excluded.description,
       interval_seconds = excluded.interval_seconds
     WHERE NOT t.customised`,
    [JSON.stringify(meterTypes)],
  );
}

/** A scaler that is there already is somebody's own. */
async function seedScalers(client: Client, { scalers }: Catalogue): Promise<void> {
  await client.query(
    `INSERT INTO meter_type_scalers (meter_type, obis_code, attribute, scaler, unit)
     SELECT "meterType", code, attribute, scaler, unit
       FROM jsonb_to_recordset($1) AS n("meterType" text, code text, attribute smallint, scaler smallint, unit text)
     ON CONFLICT DO NOTHING`,
    [JSON.stringify(scalers)],
  );
}

async function seedEvents(client: Client, { events, esw, alarms }: Catalogue): Promise<void> {
  await client.query(
    `INSERT INTO event_codes AS e (category, log, code, name, severity, clears_code)
     SELECT DISTINCT ON (coalesce(category, ''), log, code) coalesce(category, ''), log, code, name, severity, clears
       FROM jsonb_to_recordset($1) AS n(category text, log text, code int, name text, severity text, clears int)
      ORDER BY coalesce(category, ''), log, code
     ON CONFLICT (category, log, code) DO UPDATE SET name = excluded.name, severity = excluded.severity,
       clears_code = excluded.clears_code
     WHERE NOT e.customised`,
    [JSON.stringify(events)],
  );
  const bits = [
    ...esw.map((bit) => ({ ...bit, numbering: "wire" })),
    ...alarms.map((bit) => ({ ...bit, numbering: "significance" })),
  ];
  await client.query(
    `INSERT INTO status_bits AS b (category, obis_code, bit, name, severity, numbering)
     SELECT DISTINCT ON (coalesce(category, ''), code, bit) coalesce(category, ''), code, bit, name, severity, numbering
       FROM jsonb_to_recordset($1) AS n(category text, code text, bit smallint, name text, severity text, numbering text)
      ORDER BY coalesce(category, ''), code, bit
     ON CONFLICT (category, obis_code, bit) DO UPDATE SET name = excluded.name, severity = excluded.severity,
       numbering = excluded.numbering
     WHERE NOT b.customised`,
    [JSON.stringify(bits)],
  );
}

/**
 * A setup a category and push setup, a list of objects each. Lists that are there are written anew: those that no user wrote or changed
 * ("untouched"), or all of these names. Answers how many were written.
 */
export async function writeLists(
  client: Client,
  of: readonly PushList[],
  { kind, renew }: { readonly kind: "push" | "poll"; readonly renew: "untouched" | "all" },
): Promise<number> {
  const lists = JSON.stringify(of);
  await client.query(
    `INSERT INTO push_setups (name, logical_name, standard, category)
     SELECT DISTINCT ON ("pushSetup", category) concat_ws(' ', category, "pushSetup"), "pushSetup", standard, category
       FROM jsonb_to_recordset($1) AS n("pushSetup" text, standard text, category text) WHERE "pushSetup" IS NOT NULL
      ORDER BY "pushSetup", category
     ON CONFLICT DO NOTHING`,
    [lists],
  );
  const { rows } = await client.query(
    `INSERT INTO push_objects AS o (name, push_setup_id, profile_kind, standard, category, kind)
     SELECT n.name, s.id, n.kind, n.standard, n.category, $2
       FROM ROWS FROM (jsonb_to_recordset($1) AS (name text, "pushSetup" text, kind text, standard text, category text))
         WITH ORDINALITY AS n(name, "pushSetup", kind, standard, category, position)
       LEFT JOIN push_setups s ON s.logical_name = n."pushSetup" AND s.category IS NOT DISTINCT FROM n.category
         AND s.meter_type IS NULL AND s.meter_id IS NULL
      ORDER BY n.position
     ON CONFLICT (name, coalesce(push_setup_id, 0), coalesce(category, ''), coalesce(meter_type, ''), coalesce(meter_id::text, ''))
     DO UPDATE SET profile_kind = excluded.profile_kind, standard = excluded.standard
       WHERE NOT o.customised OR $3
     RETURNING id, name, category`,
    [lists, kind, renew === "all"],
  );
  const ids = new Map(rows.map((row) => [`${row.category ?? ""}|${row.name}`, row.id as number]));
  await client.query("DELETE FROM push_object_entries WHERE push_object_id = ANY($1)", [[...ids.values()]]);
  const entries = of.flatMap(({ category, name, entries: own }) => {
    const list = ids.get(`${category ?? ""}|${name}`);
    return list === undefined ? [] : own.map((entry, index) => ({ ...entry, list, position: index + 1 }));
  });
  await client.query(
    `INSERT INTO push_object_entries (push_object_id, position, class_id, logical_name, attribute, data_index)
     SELECT list, position, "classId", code, attribute, "dataIndex" FROM jsonb_to_recordset($1)
       AS n(list int, position smallint, "classId" int, code text, attribute smallint, "dataIndex" smallint)`,
    [JSON.stringify(entries)],
  );
  return rows.length;
}
