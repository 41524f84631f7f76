import { createSocket } from "node:dgram";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { run } from "../../src/cli/run.ts";
import type { Finding } from "../../src/finding.ts";
import { openDatabase } from "../../src/storage/database.ts";
import { inspectDatabase } from "../../src/storage/inspect-database.ts";
import { inspectMeters } from "../../src/storage/inspect-meters.ts";
import { inspectTimescale } from "../../src/storage/inspect-timescale.ts";
import { measureTimescale } from "../../src/storage/measure-timescale.ts";
import { createTestDatabase, skippedUnless, type TestDatabase } from "../support/database.ts";
import { createEngineDatabase, TIMESCALEDB, TIMESCALEDB_APACHE, warnOfMissing } from "../support/engines.ts";

warnOfMissing([TIMESCALEDB, TIMESCALEDB_APACHE]);

let test: TestDatabase;
const directory = mkdtempSync(join(tmpdir(), "hes-doctor-"));
beforeAll(async () => {
  test = await createTestDatabase();
});
afterAll(async () => {
  await test.drop();
  rmSync(directory, { recursive: true });
});

const expected = { timeZone: "Asia/Kolkata", poolMax: 8, now: Date.now };
const find = (findings: readonly Finding[], text: RegExp) => findings.filter(({ what }) => text.test(what));

/** `hes doctor` as a user runs it, with a configuration file of these lines. */
async function doctor(lines: string, ...argv: string[]) {
  const file = join(directory, "hes.toml");
  writeFileSync(file, `data_dir = "${directory}"\n${lines}`);
  let stdout = "";
  let stderr = "";
  const code = await run(["--config", file, "doctor", ...argv], {
    write: (text) => {
      stdout += text;
    },
    error: (text) => {
      stderr += text;
    },
  });
  return { code, stdout, stderr };
}
const settings = (url: string, listen = "127.0.0.1:0") =>
  `[database]\nurl = "${url}"\n[listen]\ntcp = ["${listen}"]\n[http]\nlisten = ""\n`;

describe("hes doctor", () => {
  it("finds nothing wrong where all is well, but for the tests' own server, which runs without fsync", async () => {
    const { stdout, stderr } = await doctor(settings(test.url));
    expect(stderr).toBe("");
    const bad = stdout.split("\n").filter((line) => line.startsWith("WRONG"));
    expect(bad.filter((line) => !/(fsync|full_page_writes|autovacuum) is off/.test(line))).toEqual([]);
    for (const area of [
      "configuration",
      "ports",
      "disk",
      "keys",
      "database",
      "migrations",
      "partitions",
      "clock",
      "counters",
    ]) {
      expect(stdout).toMatch(new RegExp(`^(ok|note) +${area} `, "m"));
    }
  });

  it("says what is wrong with the configuration, and answers 78", async () => {
    const { code, stderr } = await doctor("[time]\nzone = 'Mars'\n");
    expect(code).toBe(78);
    expect(stderr).toContain("time.zone");
  });

  it("says that the database is away and goes on with the rest; 69", async () => {
    const { code, stdout } = await doctor(settings("postgres://nobody@127.0.0.1:1/none"));
    expect(code).toBe(69);
    expect(stdout).toMatch(/^WRONG database .*127\.0\.0\.1:1.*\n +→ start it/m);
    expect(stdout).toMatch(/^ok +disk/m);
  });

  it("tells a user and a database that the server doesn't know from one that is away", async () => {
    const stranger = new URL(test.url);
    stranger.username = "nobody";
    const { stdout } = await doctor(settings(stranger.href));
    expect(stdout).toMatch(/^WRONG database .*nobody.*\n +→ set the user and the password/m);
    const other = await doctor(settings(`${test.url}_gone`));
    expect(other.stdout).toMatch(/^WRONG database .*does not exist.*\n +→ make it \(CREATE DATABASE\)/m);
  });

  it("names every other thing to listen on that can't be had, and brokers that are away", async () => {
    const udp = createSocket("udp4");
    await new Promise<void>((resolve) => udp.bind(0, "127.0.0.1", resolve));
    const http = createServer((socket) => socket.destroy()).listen(0, "127.0.0.1");
    await new Promise((resolve) => http.once("listening", resolve));
    const ports = { udp: udp.address().port, http: (http.address() as { port: number }).port };
    const { code, stdout } = await doctor(
      `[database]\nurl = "${test.url}"\n[http]\nlisten = "127.0.0.1:${ports.http}"\n` +
        `[listen]\ntcp = []\nudp = ["127.0.0.1:${ports.udp}"]\nserial = [{ path = "/dev/none" }]\n` +
        `[durable_log]\nkind = "jetstream"\n[jetstream]\nservers = ["nats://127.0.0.1:1"]\n`,
    );
    udp.close();
    http.close();
    expect(code).toBe(69);
    expect(stdout).toMatch(new RegExp(`^WRONG ports .*udp.*${ports.udp}.*\\n.*set listen.udp`, "m"));
    expect(stdout).toMatch(new RegExp(`^WRONG ports .*${ports.http}.*\\n.*set http.listen`, "m"));
    expect(stdout).toMatch(/^WRONG ports .*\/dev\/none isn't there/m);
    expect(stdout).toMatch(/^WRONG jetstream .*127\.0\.0\.1:1/m);
  });

  it("names the port that another program has", async () => {
    const other = createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => other.once("listening", resolve));
    const { port } = other.address() as { port: number };
    const { code, stdout } = await doctor(settings(test.url, `127.0.0.1:${port}`));
    other.close();
    expect(code).toBe(69);
    expect(stdout).toMatch(new RegExp(`^WRONG ports .*${port}.*EADDRINUSE`, "m"));
  });

  it("complains of a key-encryption key that others may read", async () => {
    const kek = join(directory, "kek");
    writeFileSync(kek, "ab".repeat(32));
    for (const mode of [0o644, 0o404, 0o460, 0o402]) {
      chmodSync(kek, mode);
      const { stdout } = await doctor(settings(test.url));
      expect(stdout).toMatch(/^WRONG keys +others may read or change /m);
      expect(stdout).toContain(`chmod 400 ${kek}`);
    }
    chmodSync(kek, 0o440);
    expect((await doctor(settings(test.url))).stdout).toMatch(/^note +keys +its group may read /m);
    rmSync(kek);
  });

  it("opens keys with the systemd credential where there is one, and says so where it isn't", async () => {
    const withCredential = `${settings(test.url)}[security]\nkek_credential = "kek"\n`;
    const missing = await doctor(withCredential);
    expect(missing.stdout).toMatch(/^WRONG keys .*systemd has given this process no credentials/m);
    expect(missing.stdout).toContain("see security.kek_credential");
    expect(missing.stdout).not.toContain("isn't there yet");
    process.env["CREDENTIALS_DIRECTORY"] = directory;
    writeFileSync(join(directory, "kek"), "ab".repeat(32));
    const { stdout } = await doctor(withCredential);
    delete process.env["CREDENTIALS_DIRECTORY"];
    rmSync(join(directory, "kek"));
    expect(stdout).toMatch(/^ok +keys +the key-encryption key is the systemd credential kek$/m);
    expect(stdout).toMatch(/^ok +keys +those of \d+ meters? were opened with the key-encryption key /m);
  });

  it("says which key-encryption key is missing where something is sealed with it", async () => {
    const none = await doctor(settings(test.url));
    expect(none.stdout).toMatch(/^note +keys .*isn't there yet\n +→ it is made at the first start/m);
    expect(none.stdout).not.toContain("sealed with");
    await test.database.query(
      `WITH m AS (INSERT INTO public.meters (meter_number, meter_type) VALUES ('sealed', 'D1') RETURNING id),
         k AS (INSERT INTO meter_keys (meter_id, kind, envelope) SELECT id, 'guek', '\\x010011223344556677ff' FROM m)
       INSERT INTO meter_associations (meter_id, client_sap, secret) SELECT id, 48, '\\x010011223344556677ff' FROM m`,
    );
    const { code, stdout } = await doctor(settings(test.url));
    await test.database.query("DELETE FROM public.meters WHERE meter_number = 'sealed'");
    expect(code).toBe(69);
    expect(stdout).toMatch(
      /^WRONG keys +1 key and 1 secret are sealed with 0011223344556677, and .*kek isn't there\n +→ put its copy back/m,
    );
  });

  it("tells whether a meter can be reached", { timeout: 60_000 }, async () => {
    const server = createServer((socket) => socket.end()).listen(0, "127.0.0.1");
    await new Promise((resolve) => server.once("listening", resolve));
    const { port } = server.address() as { port: number };
    await test.database.query(
      `INSERT INTO public.meters (meter_number, meter_type, mode, host, port, required_protection) VALUES
         ('dialled', 'D1', 'dial', '127.0.0.1', $1, 0), ('deaf', 'D1', 'dial', '127.0.0.1', 1, 0), ('nowhere', 'D1', 'dial', NULL, NULL, 0)`,
      [port],
    );
    const reached = await doctor(settings(test.url), "dialled");
    expect(reached.stdout).toContain(`127.0.0.1:${port} takes connections`);
    server.close();
    for (const [meter, text] of [
      ["deaf", /WRONG meter .*ECONNREFUSED/],
      ["nowhere", /WRONG meter .*has no host/],
      ["stranger", /WRONG meter .*none of the number stranger/],
    ] as const) {
      const { code, stdout } = await doctor(settings(test.url), meter);
      expect(stdout).toMatch(text);
      expect(code).toBe(69);
    }
  });

  it("says all of it as JSON", async () => {
    const { stdout } = await doctor(settings(test.url), "--json");
    const findings = JSON.parse(stdout) as Finding[];
    expect(findings.every(({ level, todo }) => level !== "wrong" || todo !== null)).toBe(true);
  });
});

describe("inside the database", () => {
  it("it notices a clock, a zone and a pool that don't fit", async () => {
    const findings = await inspectDatabase(test.database, {
      timeZone: "Europe/Berlin",
      poolMax: 100_000,
      now: () => Date.now() - 60_000,
    });
    expect(find(findings, /clock.* differ by [56]\d{4} ms/)).toMatchObject([{ level: "wrong" }]);
    expect(find(findings, /cut in Asia\/Kolkata, and time.zone is Europe\/Berlin/)).toMatchObject([
      { level: "wrong" },
    ]);
    expect(find(findings, /opens up to 100000/)).toMatchObject([{ level: "wrong" }]);
  });

  it("it notices settings under which a COMMIT isn't safe", async () => {
    // The tests' own server runs without fsync.
    const [fsync] = await test.database.query("SHOW fsync");
    const findings = await inspectDatabase(test.database, expected);
    expect(find(findings, /fsync is off/)).toHaveLength(fsync!["fsync"] === "off" ? 1 : 0);
  });

  it("it notices missing migrations and says nothing that needs them", async () => {
    const empty = await createTestDatabase({ empty: true });
    const findings = await inspectDatabase(empty.database, expected);
    await empty.drop();
    expect(findings.at(-1)).toMatchObject({ area: "migrations", level: "wrong", todo: "run `hes migrate`" });
  });

  it("it notices partitions that end, keys that are missing and counters that do", async () => {
    const { database } = test;
    const [meter] = await database.query(
      "INSERT INTO public.meters (meter_number, meter_type) VALUES ('unkeyed', 'D1') RETURNING id",
    );
    const [key] = await database.query(
      "INSERT INTO meter_keys (meter_id, kind, state, envelope) VALUES ($1, 'gak', 'ACTIVE', '\\x00') RETURNING id",
      [meter!["id"]],
    );
    await database.query("INSERT INTO invocation_counters VALUES ($1, '4142430000000001', 1, 4294967000)", [
      key!["id"],
    ]);
    const meters = await inspectMeters(database, null);
    expect(find(meters, /1 meter of \d+ must protect/)).toMatchObject([{ area: "keys", level: "note" }]);
    expect(find(meters, /unkeyed \(4294967000\)/)).toMatchObject([{ area: "counters", level: "wrong" }]);
    await database.query(
      `DO $$ DECLARE c regclass; BEGIN FOR c IN SELECT inhrelid FROM pg_inherits WHERE inhparent = 'raw_frames'::regclass
         LOOP EXECUTE format('DROP TABLE %s', c); END LOOP; END $$`,
    );
    const findings = await inspectDatabase(database, expected);
    expect(find(findings, /none for today: raw_frames$/)).toMatchObject([
      { area: "partitions", level: "wrong" },
    ]);
  });
});

describe("inside a database that somebody changed", () => {
  let own: TestDatabase;
  beforeAll(async () => {
    own = await createTestDatabase();
  });
  afterAll(() => own.drop());

  it("it goes on behind a table that is locked, without waiting for it", async () => {
    const impatient = openDatabase({ url: own.url, schema: "hes", poolMax: 1, lockTimeoutMs: 50 });
    await own.database.transaction(async (client) => {
      await client.query("LOCK TABLE daily_load_changes IN ACCESS EXCLUSIVE MODE");
      const findings = await inspectDatabase(impatient, expected);
      expect(find(findings, /can't be looked at: .*lock timeout/)).toMatchObject([
        { area: "days", level: "wrong", todo: expect.stringContaining("pg_locks") },
      ]);
      expect(find(findings, /made ahead/)).toHaveLength(1);
    });
    await impatient.close();
  });

  it("it notices that it only reads", async () => {
    const url = `${own.url}?options=${encodeURIComponent("-c default_transaction_read_only=on")}`;
    const standby = openDatabase({ url, schema: "hes", poolMax: 1 });
    const findings = await inspectDatabase(standby, expected);
    await standby.close();
    expect(find(findings, /it only reads/)).toMatchObject([
      { area: "database", level: "wrong", todo: expect.stringMatching(/promote/) },
    ]);
    expect(find(await inspectDatabase(own.database, expected), /it only reads/)).toEqual([]);
    expect(find(findings, /can't be looked at/)).toEqual([]);
  });

  it("it notices partitions that end within a day", async () => {
    await own.database.query(
      `DO $$ DECLARE c regclass; BEGIN FOR c IN SELECT inhrelid FROM pg_inherits WHERE inhparent = 'raw_frames'::regclass
         LOOP EXECUTE format('DROP TABLE %s', c); END LOOP;
         EXECUTE format('CREATE TABLE last_frames PARTITION OF raw_frames FOR VALUES FROM (%L) TO (%L)',
           now() - interval '1 day', now() + interval '12 hours');
         -- Of a clock that runs ahead.
         EXECUTE format('CREATE TABLE far_frames PARTITION OF raw_frames FOR VALUES FROM (%L) TO (%L)',
           now() + interval '300 days', now() + interval '301 days'); END $$`,
    );
    const findings = await inspectDatabase(own.database, expected);
    expect(find(findings, /end within a day: raw_frames$/)).toMatchObject([
      { area: "partitions", level: "wrong" },
    ]);
    await own.database.query("DROP TABLE last_frames");
    const later = await inspectDatabase(own.database, expected);
    expect(find(later, /none for today: raw_frames$/)).toMatchObject([
      { area: "partitions", level: "wrong" },
    ]);
  });

  it.skipIf(skippedUnless(["partitions"], "an extension that is there isn't missed"))(
    "it notices an extension that was dropped",
    async () => {
      await own.database.query("UPDATE schema_migrations SET engine = 'timescaledb'");
      const dropped = await inspectDatabase(own.database, expected);
      expect(find(dropped, /made with TimescaleDB, and the extension isn't/)).toMatchObject([
        { area: "capabilities", level: "wrong" },
      ]);
    },
  );

  it("it notices a database of a newer version", async () => {
    await own.database.query(
      "INSERT INTO schema_migrations SELECT '9999_later.sql', checksum, engine FROM schema_migrations LIMIT 1",
    );
    const newer = await inspectDatabase(own.database, expected);
    expect(newer.at(-1)).toMatchObject({
      area: "migrations",
      level: "wrong",
      what: expect.stringContaining("9999_later.sql"),
    });
  });

  it("it says what it may not look at", async () => {
    const role = `low_${Date.now()}`;
    await own.database.query(`CREATE ROLE ${role} LOGIN PASSWORD 'low'`);
    const url = new URL(own.url);
    url.username = role;
    url.password = "low";
    const low = openDatabase({ url: url.href, schema: "hes", poolMax: 1 });
    const findings = await inspectDatabase(low, expected);
    await low.close();
    await own.database.query(`DROP ROLE ${role}`);
    expect(findings.at(-1)).toMatchObject({
      area: "migrations",
      level: "wrong",
      todo: expect.stringContaining("rights"),
    });
  });
});

describe.skipIf(!TIMESCALEDB.available)("on TimescaleDB", () => {
  it("it reports chunks and policies, and notices a missing one and a job that failed or is switched off", async () => {
    const one = await createEngineDatabase(TIMESCALEDB, {
      jobs: true,
      migration: { timeZone: "Asia/Kolkata" },
    });
    const { database } = one;
    try {
      const well = await inspectTimescale(database);
      expect(well.slice(0, 2).map(({ area, level }) => `${area} ${level}`)).toEqual([
        "chunks ok",
        "policies ok",
      ]);
      const [job] = await database.query(
        "SELECT job_id AS id FROM timescaledb_information.jobs WHERE hypertable_name = 'power_readings' AND proc_name = 'policy_compression'",
      );
      await database.query(`SELECT alter_job(${job!["id"]}, scheduled => false)`);
      await database.query("CALL remove_columnstore_policy('voltage_measurements')");
      await database.query("SELECT remove_continuous_aggregate_policy('daily_energy')");
      await database.query(
        "CREATE PROCEDURE broken(job_id int, config jsonb) LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'on purpose'; END $$",
      );
      const [own] = await database.query("SELECT add_job('broken', '1 hour', initial_start => now()) AS id");
      await expect
        .poll(
          async () =>
            (await inspectTimescale(database))
              .filter(({ level }) => level === "wrong")
              .map(({ what }) => what),
          { timeout: 60_000, interval: 500 },
        )
        .toEqual(
          expect.arrayContaining([
            "missing: voltage_measurements (columnstore)",
            "no policy refreshes daily_energy",
            expect.stringMatching(`job ${job!["id"]} .*power_readings.* is switched off`),
            expect.stringMatching(`job ${own!["id"]} .*failed: on purpose`),
          ]),
        );
      // On PostgreSQL 15.20 all the others end in an error as well, after their work is done: nothing that fails.
      const others = (await inspectTimescale(database)).filter(({ what }) => what.includes("portal"));
      expect(others.filter(({ level }) => level !== "note")).toEqual([]);
      const measured = await measureTimescale(database);
      expect(measured?.policies.map(({ failed }) => failed)).toEqual([0, 0, 0]);
    } finally {
      await one.drop();
    }
  }, 120_000);
});

describe.skipIf(!TIMESCALEDB_APACHE.available)("on TimescaleDB under the Apache licence", () => {
  it("it says that there are hypertables only", async () => {
    const one = await createEngineDatabase(TIMESCALEDB_APACHE);
    const findings = await inspectDatabase(one.database, expected);
    await one.drop();
    expect(find(findings, /Apache licence: hypertables only/)).toMatchObject([
      { area: "capabilities", level: "ok" },
    ]);
  });
});
