import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Database, openDatabase } from "../../src/storage/database.ts";
import { migrate } from "../../src/storage/migrate.ts";
import { nameOfRole, type RoleName } from "../../src/storage/roles.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { insertSampleData } from "../support/sample-data.ts";

let test: TestDatabase;
const as = {} as Record<RoleName, Database>;
const METER = "11111111-1111-4111-8111-111111111111";

beforeAll(async () => {
  test = await createTestDatabase();
  await insertSampleData(test.database);
  await test.database.query(
    "INSERT INTO public.meters (id, meter_number, meter_type, required_protection) SELECT $1, 'ROLES1', min(name), 48 FROM meter_types",
    [METER],
  );
  await test.database.query(
    `INSERT INTO meter_keys (meter_id, kind, state, envelope)
     VALUES ($1, 'guek', 'ACTIVE', '\\x01'), ($1, 'gak', 'ACTIVE', '\\x02'), ($1, 'guek', 'WITHDRAWN', '\\x03'), ($1, 'master', 'ACTIVE', '\\x04')`,
    [METER],
  );
  await test.database.query(
    "INSERT INTO meter_associations (meter_id, client_sap, mechanism, secret) VALUES ($1, 2, 'lls', '\\x05')",
    [METER],
  );
  for (const role of ["ingest", "keys", "api"] as const) {
    const url = new URL(test.url);
    url.searchParams.set("options", `-c role=${nameOfRole("hes", role)}`);
    as[role] = openDatabase({ url: url.toString(), schema: "hes", poolMax: 1 });
  }
});
afterAll(async () => {
  for (const database of Object.values(as)) await database.close();
  await test.drop();
});

const refused = (role: RoleName, sql: string) =>
  expect(as[role].query(sql), `${role}: ${sql}`).rejects.toThrow(
    /permission denied|must be owner|row-level security/,
  );

const STRUCTURE = [
  "DROP TABLE push_history",
  "DROP TABLE public.meters CASCADE",
  "TRUNCATE raw_frames",
  "ALTER TABLE meter_keys DISABLE ROW LEVEL SECURITY",
  "CREATE TABLE mine (a integer)",
  "CREATE OR REPLACE FUNCTION keep_updated_at() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
  "UPDATE schema_migrations SET checksum = ''",
  "UPDATE storage_policies SET retention_days = 1",
];

describe("roles", () => {
  it("are members of nothing and can't log in", async () => {
    const rows = await test.database.query(
      "SELECT rolname, rolsuper OR rolcreaterole OR rolcreatedb OR rolcanlogin OR rolbypassrls AS more FROM pg_roles WHERE rolname LIKE 'hes\\_%' ORDER BY 1",
    );
    expect(rows).toEqual(["hes_api", "hes_ingest", "hes_keys"].map((rolname) => ({ rolname, more: false })));
  });

  it("change no structure", async () => {
    for (const role of ["ingest", "keys", "api"] as const) {
      for (const sql of STRUCTURE) await refused(role, sql);
    }
  });

  it("are granted what is missing by the next migration, and nothing is taken from them", async () => {
    await test.database.query(
      "REVOKE SELECT ON push_history FROM hes_ingest; GRANT SELECT ON raw_frames TO hes_api",
    );
    await migrate(test.database);
    expect(await as.ingest.query("SELECT count(*) FROM push_history")).toHaveLength(1);
  });
});

describe("hes_ingest", () => {
  it("sees of the keys what opens pushes: no master key, none that was withdrawn, no secret of an association", async () => {
    const rows = await as.ingest.query("SELECT kind, state FROM meter_keys WHERE meter_id = $1 ORDER BY id", [
      METER,
    ]);
    expect(rows).toEqual([
      { kind: "guek", state: "ACTIVE" },
      { kind: "gak", state: "ACTIVE" },
    ]);
    await refused("ingest", "SELECT secret FROM meter_associations");
    await refused("ingest", "SELECT mechanism FROM meter_associations");
  });

  it("changes no key, no meter's protection, and takes nothing away", async () => {
    await refused("ingest", "UPDATE meter_keys SET state = 'EXPIRED'");
    await refused(
      "ingest",
      `INSERT INTO meter_keys (meter_id, kind, envelope) VALUES ('${METER}', 'gak', '')`,
    );
    await refused("ingest", "DELETE FROM meter_keys");
    await refused("ingest", "UPDATE public.meters SET required_protection = 0");
    await refused("ingest", "DELETE FROM public.meters");
    await refused("ingest", "DELETE FROM push_history");
    await refused("ingest", "DELETE FROM raw_frames");
    await refused("ingest", "UPDATE raw_frames SET apdu = ''");
    await refused("ingest", "DELETE FROM event_logs");
    await refused("ingest", "DELETE FROM security_events");
    await refused("ingest", "UPDATE sent_counters SET reserved = 0");
  });

  it("makes partitions and drops none", async () => {
    const range = "'2031-01-06 00:00Z', '2031-01-13 00:00Z'";
    await as.ingest.query(`SELECT make_partition('push_history', ${range})`);
    const [made] = await test.database.query(
      "SELECT relispartition AS partition, pg_get_userbyid(relowner) = current_user AS ours FROM pg_class WHERE relname = 'push_history_20310106'",
    );
    expect(made).toEqual({ partition: true, ours: true });
    await refused("ingest", "SELECT drop_partition('push_history', '2031-01-06 00:00Z')");
    await refused("ingest", "DROP TABLE push_history_20310106");
    await expect(as.ingest.query(`SELECT make_partition('public.meters', ${range})`)).rejects.toThrow(
      /has no partitions that the head-end makes/,
    );
  });
});

describe("hes_keys", () => {
  it("reads all keys and writes what commands do", async () => {
    const rows = await as.keys.query("SELECT 1 FROM meter_keys WHERE meter_id = $1", [METER]);
    expect(rows).toHaveLength(4);
    await as.keys.query("UPDATE meter_keys SET state = 'EXPIRED' WHERE meter_id = $1 AND kind = 'gak'", [
      METER,
    ]);
    await as.keys.query("SELECT secret FROM meter_associations");
  });

  it("drops a partition when it is past its retention, whatever temporary table says so", async () => {
    await as.keys.query("SELECT make_partition('push_history', '2001-01-01 00:00Z', '2001-01-08 00:00Z')");
    const drop = "SELECT drop_partition('push_history', '2001-01-01 00:00Z')";
    await test.database.query("UPDATE storage_policies SET dropped_before = NULL");
    await as.keys.query(
      "CREATE TEMPORARY TABLE storage_policies AS SELECT 'push_history'::text AS table_name, now() AS dropped_before",
    );
    await expect(as.keys.query(drop)).rejects.toThrow(/is not past its retention/);
    await as.keys.query("DROP TABLE pg_temp.storage_policies");
    await as.keys.query(
      "UPDATE storage_policies SET dropped_before = '2001-02-01' WHERE table_name = 'push_history'",
    );
    await as.keys.query(drop);
    const gone = await test.database.query("SELECT to_regclass('push_history_20010101') AS table");
    expect(gone).toEqual([{ table: null }]);
  });
});

describe("hes_api", () => {
  it("reads what isn't sealed and writes nothing", async () => {
    const tables = await test.database.query(
      "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p', 'v') AND NOT relispartition AND relnamespace = 'hes'::regnamespace",
    );
    expect(tables.length).toBeGreaterThan(50);
    for (const { relname } of tables) {
      if (relname === "meter_keys" || relname === "meter_associations")
        await refused("api", `SELECT FROM ${relname}`);
      else await as.api.query(`SELECT FROM ${relname} LIMIT 0`);
    }
    await refused("api", "INSERT INTO event_logs (level, component, message) VALUES ('info', 'x', 'y')");
    await refused("api", "UPDATE public.meters SET last_seen_at = now()");
  });
});

it("leaves the roles to somebody else where its own may not make any", async () => {
  const other = await createTestDatabase({ empty: true });
  try {
    await other.database.query(
      "CREATE ROLE plain_owner LOGIN; CREATE SCHEMA apart AUTHORIZATION plain_owner",
    );
    await other.database.query(
      `GRANT CREATE ON SCHEMA public TO plain_owner; GRANT CREATE ON DATABASE ${other.name} TO plain_owner`,
    );
    const url = new URL(other.url);
    url.searchParams.set("options", "-c role=plain_owner");
    const plain = openDatabase({ url: url.toString(), schema: "apart", poolMax: 2 });
    const report = await migrate(plain);
    await plain.close();
    expect(report.rolesMissing).toEqual(["apart_ingest", "apart_keys", "apart_api"]);
  } finally {
    await other.database.query("DROP OWNED BY plain_owner CASCADE; DROP ROLE plain_owner");
    await other.drop();
  }
});
