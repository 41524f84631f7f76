import { describe, expect, it } from "vitest";
import { refreshDailyLoadProfile } from "../../src/storage/daily-load-profile.ts";
import type { Database } from "../../src/storage/database.ts";
import { migrate, readMigrations } from "../../src/storage/migrate.ts";
import { openPartitions } from "../../src/storage/partitions.ts";
import { openPushStore } from "../../src/storage/push-store.ts";
import { timescaleCapabilities, translate } from "../../src/storage/timescale.ts";
import { createEngineDatabase, ENGINES, warnOfMissing } from "../support/engines.ts";
import { push, voltages } from "../support/pushes.ts";
import { insertSampleData, SAMPLE_ZONE } from "../support/sample-data.ts";

warnOfMissing();

const DAY_MS = 86_400_000;

/*
 * A database that an older version made and filled: nothing of it is lost, and it goes on being filled. Migrations are tested empty everywhere else.
 */

/** Before schedules, policies of storage, polls and partitions of a day. */
const FIRST = 12;
/** Before what quirks and selections are called now. */
const SECOND = 25;

/** Brings a database to what it was with migrations up to this number. */
async function migrateTo(database: Database, last: number): Promise<void> {
  await database.withClient(async (client) => {
    const timescale = await timescaleCapabilities(client);
    await client.query(
      `CREATE SCHEMA IF NOT EXISTS hes; CREATE TABLE IF NOT EXISTS schema_migrations (name text PRIMARY KEY, checksum text NOT NULL,
         engine text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())`,
    );
    const { rows } = await client.query("SELECT name FROM schema_migrations");
    for (const { name, sql, checksum } of (await readMigrations()).slice(rows.length, last)) {
      await client.query(timescale ? translate(sql, timescale, SAMPLE_ZONE) : sql);
      await client.query("INSERT INTO schema_migrations (name, checksum, engine) VALUES ($1, $2, $3)", [
        ...[name, checksum, timescale ? "timescaledb" : "postgresql"],
      ]);
    }
  });
}

/** Partitions of a week for everything that has some, as they were made then. */
async function makeWeeks(database: Database): Promise<void> {
  await database.query(
    `DO $$ DECLARE parent record; week timestamptz;
     BEGIN
       FOR parent IN SELECT c.oid::regclass AS name, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                      WHERE c.relkind = 'p' AND n.nspname IN ('hes', 'public') LOOP
         FOR step IN -2..1 LOOP
           week := date_trunc('week', now()) + step * interval '7 days';
           EXECUTE format('CREATE TABLE %s PARTITION OF %s FOR VALUES FROM (%L) TO (%L)',
             parent.relname || to_char(week, '_YYYYMMDD'), parent.name, week, week + interval '7 days');
         END LOOP;
       END LOOP;
     END $$`,
  );
}

async function fillFirst(database: Database): Promise<void> {
  await makeWeeks(database);
  await database.query(
    "INSERT INTO meter_types (name, category, interval_seconds) VALUES ('D1', 'D1', 1800), ('D2', 'D2', 1800)",
  );
  await insertSampleData(database);
  await database.query(
    `INSERT INTO meter_keys (meter_id, kind, envelope) SELECT id, 'guek', '\\x00' FROM public.meters;
     INSERT INTO invocation_counters (key_id, system_title, client_sap, counter) SELECT id, '4142430000000001', 48, 7 FROM meter_keys;
     INSERT INTO meter_associations (meter_id, client_sap) SELECT id, 48 FROM public.meters;
     INSERT INTO push_schedules (name, kind, cron) VALUES ('hourly', 'poll', '0 * * * *');
     INSERT INTO push_objects (name, profile_kind) VALUES ('blocks', 'block');
     INSERT INTO schedule_entries (push_schedule_id, push_object_id, meter_group) SELECT s.id, o.id, 'north' FROM push_schedules s, push_objects o;
     INSERT INTO quarantine (received_at, source, identifier, reason, framing, apdu)
       VALUES (now(), '10.0.0.9', 'x', 'unknown_meter', 'wrapper', '\\x0f');
     INSERT INTO reading_conflicts (table_name, meter_id, time, key, stored, received, received_at)
       SELECT 'energy_measurements', id, now(), '{}', '{"a": 1}', '{"a": 2}', now() FROM public.meters LIMIT 1;
     INSERT INTO event_logs (level, component, message) VALUES ('info', 'daemon', 'started');
     INSERT INTO daily_load_changes
       SELECT DISTINCT meter_id, ((time - interval '1 microsecond') AT TIME ZONE '${SAMPLE_ZONE}')::date FROM energy_measurements`,
  );
  await database.query(
    `INSERT INTO raw_frames (id, received_at, meter_id, peer, framing, apdu, verified)
     SELECT nextval('push_ids'), now(), id, '10.0.0.1', 'wrapper', '\\x0f00', true FROM public.meters`,
  );
}

async function fillSecond(database: Database): Promise<void> {
  await database.query(
    `INSERT INTO meter_type_quirks (meter_type, quirk) VALUES ('D1', 'with_list_refused'), ('D2', 'range_refused');
     INSERT INTO capture_gaps (meter_id, profile, first_missing, last_missing, captures)
       SELECT id, 'block', now() - interval '2 days', now() - interval '1 day', 48 FROM public.meters LIMIT 1`,
  );
}

/** Tables that the catalogue's rows are added to. */
const SEEDED = ["meter_types", "push_objects"];
/** Tables that hold what somebody gave; the others say what the structure is. */
const OWN = "'schema_migrations', 'storage_policies', 'catalogue_seeds', 'schedule_marks'";

async function filledTables(database: Database): Promise<string[]> {
  const rows = await database.query(
    `SELECT c.oid::regclass::text AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE n.nspname IN ('hes', 'public') AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relname NOT IN (${OWN}) ORDER BY 1`,
  );
  const names = rows.map(({ name }) => name as string);
  const found = await Promise.all(
    names.map((name) => database.query(`SELECT EXISTS (SELECT FROM ${name}) AS filled`)),
  );
  return names.filter((_, index) => found[index]![0]!["filled"]);
}

/** Rows by table, each as JSON. */
type Contents = ReadonlyMap<string, readonly string[]>;

async function contents(database: Database): Promise<Contents> {
  const tables = await filledTables(database);
  const rows = await Promise.all(
    tables.map((table) => database.query(`SELECT to_jsonb(t)::text AS row FROM ${table} t`)),
  );
  return new Map(tables.map((table, index) => [table, rows[index]!.map(({ row }) => row as string)]));
}

/** Each row of before has what it had, and maybe more; there are no others. */
async function expectKept(database: Database, before: Contents, but: readonly string[] = []): Promise<void> {
  for (const [table, rows] of before) {
    if (but.includes(table)) continue;
    const [left] = await database.query(
      `WITH before AS (SELECT row::jsonb FROM unnest($1::text[]) row), now AS MATERIALIZED (SELECT to_jsonb(t) AS row FROM ${table} t)
       SELECT (SELECT count(*) FROM now) AS rows,
              (SELECT count(*) FROM before b WHERE NOT EXISTS (SELECT FROM now n WHERE n.row @> b.row)) AS lost`,
      [rows],
    );
    expect({ table, ...left }).toEqual({ table, rows: rows.length, lost: 0 });
  }
}

/** Rows of today and of a day that stands in a week, beside those that are there; days; what is owed and what is here of it. */
async function expectGoesOn(database: Database): Promise<void> {
  const store = openPushStore(database, await openPartitions(database), { timeZone: SAMPLE_ZONE });
  const meters = await database.query("SELECT id FROM public.meters ORDER BY meter_number");
  const pushes = [0, 1, 9].map((days) => {
    const [meterId, time] = [meters[2]!["id"] as string, Date.now() - days * DAY_MS];
    return push({ meterId, time, rows: [voltages(meterId, time, { voltage_l1_v: 230 })] });
  });
  for (const one of pushes) expect(await store.commit([one])).toMatchObject([{ verdict: "applied" }]);
  expect(await store.commit([{ ...pushes[2]!, again: true }])).toMatchObject([{ verdict: "duplicate" }]);
  await refreshDailyLoadProfile(database, { timeZone: SAMPLE_ZONE });
  const days = await database.query(
    `SELECT m.meter_number AS meter, count(*) AS days, max(max_voltage_v) AS v, sum(blocks_present)::int AS blocks
       FROM daily_load_profile p JOIN public.meters m ON m.id = p.meter_id GROUP BY 1 ORDER BY 1`,
  );
  const blocks = await database.query(
    `SELECT m.meter_number AS meter, count(*) AS n FROM energy_measurements e JOIN public.meters m ON m.id = e.meter_id
      WHERE source = 'block' GROUP BY 1 ORDER BY 1`,
  );
  expect(days.map(({ meter, blocks: n }) => [meter, n ?? 0])).toEqual([
    ...blocks.map(({ meter, n }) => [meter, n]),
    ["SAMPLE-3", 0],
  ]);
  expect(days[2]).toMatchObject({ days: 3, v: 230 });
  const [owed] = await database.query(
    "SELECT sum(stored)::int AS stored FROM completeness c JOIN public.meters m ON m.id = c.meter_id WHERE m.meter_number = 'SAMPLE-1' AND c.profile = 'block'",
  );
  expect(owed!["stored"]).toBeGreaterThan(0);
}

describe.each(ENGINES.map((engine) => [engine.name, engine] as const))("on %s", (_, engine) => {
  it.skipIf(!engine.available)(
    "an older version's database loses nothing, and goes on",
    async () => {
      const one = await createEngineDatabase(engine, { empty: true });
      const { database } = one;
      try {
        await migrateTo(database, FIRST);
        await fillFirst(database);
        const first = await contents(database);
        expect(first.size).toBeGreaterThanOrEqual(20);
        await migrateTo(database, SECOND);
        await expectKept(database, first);
        await fillSecond(database);
        const second = await contents(database);

        const { applied } = await migrate(database, { timeZone: SAMPLE_ZONE });
        expect(applied).toHaveLength((await readMigrations()).length - SECOND);
        await expectKept(database, second, ["meter_type_quirks", ...SEEDED]);
        const quirks = await database.query("SELECT meter_type, quirk FROM meter_type_quirks");
        expect(quirks).toEqual([{ meter_type: "D1", quirk: "get_list_refused" }]);
        await expectGoesOn(database);
      } finally {
        await one.drop();
      }
    },
    120_000,
  );
});
