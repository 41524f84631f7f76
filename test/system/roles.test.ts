import { join } from "node:path";
import { afterAll, beforeAll, expect, inject, it, vi } from "vitest";
import { openDatabase } from "../../src/storage/database.ts";
import { type DaemonProcess, eventually, sendOnce, startDaemonProcess } from "../support/daemon.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { type CommandLine, commandLine } from "../support/hes.ts";
import { notification, structure, u32, wrapped } from "../support/wire.ts";

/** A process that starts on a busy machine takes its time. */
vi.setConfig({ testTimeout: 500_000, hookTimeout: 120_000 });

/*
 * A daemon whose logins own nothing: pushes as hes_ingest, the rest as hes_keys, and the migration done by somebody else before.
 */
let test: TestDatabase;
let cli: CommandLine;
let daemon: DaemonProcess;
const urls = { ingest: "", keys: "" };

beforeAll(async () => {
  test = await createTestDatabase();
  for (const role of ["ingest", "keys"] as const) {
    await test.database.query(
      `CREATE ROLE ${test.name}_${role} LOGIN PASSWORD 'only here' IN ROLE hes_${role}`,
    );
    const url = new URL(test.url);
    url.username = `${test.name}_${role}`;
    url.password = "only here";
    urls[role] = url.toString();
  }
  // Something to drop; what the fleet has captured long ago asks for partitions of its own.
  await test.database.query(
    "SELECT make_partition('push_history', '2001-01-01 00:00Z', '2001-01-08 00:00Z')",
  );
  // Who writes what octets from the network have led to.
  await test.database.query(
    `CREATE TABLE wrote (what text, who text, PRIMARY KEY (what, who));
     CREATE FUNCTION note_writer() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = hes AS $$
       BEGIN INSERT INTO wrote VALUES (TG_ARGV[0], session_user) ON CONFLICT DO NOTHING; RETURN NULL; END $$;
     CREATE TRIGGER note_writer AFTER INSERT ON quarantine FOR EACH STATEMENT EXECUTE FUNCTION note_writer('quarantine');
     CREATE TRIGGER note_writer AFTER INSERT ON push_history FOR EACH ROW WHEN (NEW.kind = 'push') EXECUTE FUNCTION note_writer('pushes')`,
  );
  cli = commandLine(urls.keys);
  daemon = await startDaemon();
});
afterAll(async () => {
  await daemon?.end("SIGTERM");
  cli?.remove();
  for (const role of ["ingest", "keys"]) {
    await test.database.query(`DROP ROLE IF EXISTS ${test.name}_${role}`);
  }
  await test.drop();
});

const startDaemon = () =>
  startDaemonProcess({
    HES_DATABASE__URL: urls.ingest,
    HES_DATABASE__KEYS_URL: urls.keys,
    // Aggregates are refreshed by their owner alone.
    ...(inject("postgresForm") === "aggregates" ? { HES_DATABASE__MIGRATE_URL: test.url } : {}),
    HES_DATA_DIR: join(cli.folder, "data"),
    // Gaps are looked for all the same. Polls for them would wait for a fleet that is gone, if a full hour has passed meanwhile.
    HES_POLLING__FILL_GAPS: "false",
  });
const complaints = () =>
  daemon.log.filter((line) => /permission denied|must be owner/.test(JSON.stringify(line)));

it("stores what a fleet with faults pushes, makes and drops partitions, polls, writes days and events", async () => {
  const { code, stdout, stderr } = await cli.hes(
    ...[
      "simulate",
      "--to",
      `127.0.0.1:${daemon.port}`,
      "--speed",
      "1800",
      "--verify",
      test.url,
      "--import",
      "--json",
    ],
    ...["--meters", "6", "--for", "3s", "--seed", "7", "--start", "2026-03-01T00:00:00Z"],
    ...["--faults", "duplicate=10%,split=10%"],
  );
  expect(stderr + stdout).not.toMatch(/permission denied/);
  const { verification } = JSON.parse(stdout);
  expect(verification.problems).toEqual([]);
  expect(code).toBe(0);

  const done = (what: string, condition: string) =>
    eventually(
      async () =>
        (await test.database.query(`SELECT ${condition} AS done`))[0]!["done"] === true ? true : null,
      what,
      200_000,
    );
  // A stranger: a security event, and a frame kept for adoption.
  await sendOnce(daemon.port, wrapped(notification(1, structure(u32(1)))));
  // Before a meter has the address that it comes from.
  await done("the stranger's frame is kept", "EXISTS (SELECT FROM quarantine)");
  // A poll that finds nobody: it is taken, noted as failed, and given up.
  await test.database.query(
    "UPDATE public.meters SET mode = 'dial', host = '127.0.0.1', port = 1 WHERE id = (SELECT min(id::text)::uuid FROM public.meters)",
  );
  await test.database.query(
    `INSERT INTO poll_tasks (purpose, meter_id, push_object_id, due_at, start_at, priority, retry_max)
     SELECT 'on-demand', (SELECT min(id::text)::uuid FROM public.meters), (SELECT min(id) FROM push_objects), now(), now(), 0, 0`,
  );
  // At its first ticks the daemon does what is due every minute and every hour, and writes what it has collected.
  await done(
    "the duties of the first ticks",
    `to_regclass('push_history_20010101') IS NULL AND (SELECT count(*) FROM poll_tasks) = 0
     AND EXISTS (SELECT FROM event_logs WHERE message = 'started') AND EXISTS (SELECT FROM security_events)`,
  );
  expect(complaints()).toEqual([]);
  // The days of what was pushed are due with the next minute, or at the first tick of the next process.
  await daemon.end("SIGTERM");
  daemon = await startDaemon();
  await done("the days are written", "EXISTS (SELECT FROM daily_load_profile)");
  expect(complaints()).toEqual([]);
});

it("writes what meters have sent by the login of pushes, and by no other", async () => {
  const rows = await test.database.query(
    "SELECT what, array_agg(who) AS who FROM wrote GROUP BY 1 ORDER BY 1",
  );
  const who = [`${test.name}_ingest`];
  expect(rows).toEqual(["pushes", "quarantine"].map((what) => ({ what, who })));
});

it("lets a command do nothing with keys by the login of pushes, and says why", async () => {
  const pushes = commandLine(urls.ingest, join(cli.folder, "data"));
  const [meter] = await test.database.query("SELECT meter_number FROM public.meters ORDER BY 1 LIMIT 1");
  const number = meter!["meter_number"] as string;
  const before = await test.database.query("SELECT count(*), max(xmin::text) FROM meter_keys");
  const commands = [
    ["keys", "rekey"],
    ["keys", "restart-counters", number, "--reason", "none"],
    [
      "keys",
      "import",
      pushes.file("keys.csv", `meter_number,client_sap,mechanism,secret\n${number},32,lls,text:12345678\n`),
    ],
    [
      "meters",
      "import",
      pushes.file("meters.csv", `meter_number,meter_type,required_protection\n${number},D1,none\n`),
    ],
  ];
  for (const argv of commands) {
    const answer = await pushes.hes(...argv);
    expect([argv, answer]).toMatchObject([
      argv,
      { code: 78, stderr: expect.stringMatching(/permission denied/) },
    ]);
    expect(answer.stderr).toContain("database.keys_url");
    expect(answer.stderr).not.toMatch(/\n\s+at /);
  }
  // It sees no master key, and no secret of an association.
  const rotated = await pushes.hes("keys", "rotate", number);
  expect([rotated.code, rotated.stdout]).toEqual([69, expect.stringContaining("master key")]);
  expect((await pushes.hes("read", number, "1.0.1.8.0.255")).code).not.toBe(0);
  expect(await test.database.query("SELECT count(*), max(xmin::text) FROM meter_keys")).toEqual(before);
  pushes.remove();
});

it("says who has to migrate where neither login owns the tables", async () => {
  await test.database.query("CREATE TABLE gone AS SELECT * FROM schema_migrations WHERE name LIKE '0025%'");
  await test.database.query("DELETE FROM schema_migrations WHERE name LIKE '0025%'");
  const answer = await cli.hes("meters", "list");
  await test.database.query("INSERT INTO schema_migrations SELECT * FROM gone; DROP TABLE gone");
  expect(answer).toMatchObject({
    code: 69,
    stderr: expect.stringContaining("The database lacks 0025_roles.sql: run `hes migrate` first"),
  });
});

it("leaves nothing of the master keys to the login that pushes come in by", async () => {
  const pushes = openDatabase({ url: urls.ingest, schema: "hes", poolMax: 1 });
  const kinds = await pushes.query("SELECT DISTINCT kind FROM meter_keys ORDER BY 1");
  await pushes.close();
  expect(kinds.map(({ kind }) => kind)).not.toContain("master");
});
