import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { acceleratedClock } from "../../simulator/clock.ts";
import { Fleet } from "../../simulator/fleet.ts";
import { loadConfig } from "../../src/config.ts";
import { type Daemon, startDaemon } from "../../src/daemon.ts";
import { createLog } from "../../src/log.ts";
import { eventually } from "../support/daemon.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { type CommandLine, commandLine } from "../support/hes.ts";

/* A meter that was reset: its counters are those of long ago. The daemon knows them in memory, the database, and the snapshot. */
let test: TestDatabase;
let cli: CommandLine;
let daemon: Daemon;

const meter = (firstCounter: number, port: number) =>
  new Fleet({
    ...{ meters: 1, models: ["D1"], seed: 5, firstCounter, target: { host: "127.0.0.1", port } },
    clock: acceleratedClock(Date.UTC(2026, 6, 24) + firstCounter * 60_000, 60, Date.now),
    schedule: { instantSeconds: 15, blockPushSeconds: null, incidentsPerDay: 0, history: false },
  });

beforeAll(async () => {
  test = await createTestDatabase();
  cli = commandLine(test.url);
  await cli.json("meters", "import", cli.file("meters.csv", meter(1, 1).importCsv()));
  const { config } = loadConfig(undefined, {
    ...{ HES_DATA_DIR: join(cli.folder, "data"), HES_DATABASE__URL: test.url },
    ...{ HES_LISTEN__TCP: "127.0.0.1:0", HES_HTTP__LISTEN: "", HES_LOG__LEVEL: "error" },
  });
  daemon = await startDaemon(config, createLog(config.log));
}, 120_000);
afterAll(async () => {
  await daemon?.stop();
  cli?.remove();
  await test?.drop();
});

const history = async (above: number) => {
  const [row] = await test.database.query(
    "SELECT count(*) FILTER (WHERE invocation_counter < 1000) AS low, count(*) FILTER (WHERE invocation_counter > $1) AS high FROM push_history",
    [above],
  );
  return row as { low: number; high: number };
};

async function pushing(firstCounter: number, until: () => Promise<boolean>, what: string): Promise<void> {
  const fleet = meter(firstCounter, daemon.listeners.tcp[0]!.port);
  fleet.start();
  try {
    await eventually(async () => ((await until()) ? true : null), what);
  } finally {
    await fleet.stop();
  }
}

it("a meter whose counter began anew is refused until it is told to be accepted, and replays of it afterwards", async () => {
  await pushing(5_000, async () => (await history(5_000)).high > 2, "pushes");
  const refused = async () => {
    const rows = await test.database.query("SELECT FROM security_events WHERE reason = 'replay'");
    return rows.length > 0;
  };
  await pushing(100, refused, "a refusal as replay");
  expect((await history(0)).low).toBe(0);
  const [key] = await test.database.query("SELECT id FROM meter_keys WHERE kind = 'guek'");
  await test.database.query("INSERT INTO sent_counters (key_id, reserved) VALUES ($1, 700)", [key!["id"]]);

  expect(await cli.hes("keys", "restart-counters", "SIM10000001")).toMatchObject({ code: 64 });
  const why = ["--reason", "reset, order 4711"];
  expect(await cli.hes("keys", "restart-counters", "SIM10000001", ...why, "--client", "48")).toMatchObject({
    code: 65,
    stderr: expect.stringContaining("no encryption key that is only of client 48"),
  });
  const { keys } = await cli.json("keys", "restart-counters", "SIM10000001", ...why);
  expect(keys).toEqual([
    { clientSap: null, keyId: expect.any(Number), formerKeyId: key!["id"], counter: expect.any(Number) },
  ]);
  expect(keys[0].counter).toBeGreaterThan(5_000);
  await pushing(100, async () => (await history(0)).low > 2, "pushes with low counters");

  // What we send never goes back, and what was done stands there.
  const sent = await test.database.query("SELECT reserved FROM sent_counters WHERE key_id = $1", [
    keys[0].keyId,
  ]);
  expect(sent).toEqual([{ reserved: 700 + 4_194_304 }]);
  const audit = await test.database.query(
    "SELECT level, component, data FROM event_logs WHERE component = 'keys'",
  );
  expect(audit).toEqual([
    { level: "warn", component: "keys", data: { reason: "reset, order 4711", by: expect.any(String), keys } },
  ]);
  const states = await cli.json("keys", "list", "SIM10000001");
  expect(
    states
      .filter(({ kind }: { kind: string }) => kind === "guek")
      .map(({ state }: { state: string }) => state)
      .sort(),
  ).toEqual(["ACTIVE", "EXPIRED"]);
  // From now on its new counter protects it as the former one did.
  await test.database.query("DELETE FROM security_events");
  await pushing(50, refused, "a refusal of what is lower than that");
}, 120_000);

it("what was accepted under the former counters and waits in the spool is stored, too", async () => {
  const fleet = meter(2_000_000, daemon.listeners.tcp[0]!.port);
  const stored = async () => {
    const [row] = await test.database.query(
      "SELECT count(DISTINCT invocation_counter) AS n FROM push_history WHERE invocation_counter >= 2000000",
    );
    return row!["n"] as number;
  };
  let keys: unknown[] = [];
  await test.database.transaction(async (client) => {
    // Nothing that was accepted can be stored meanwhile.
    await client.query("LOCK TABLE push_history IN ACCESS EXCLUSIVE MODE");
    fleet.start();
    const sent = () => Object.values(fleet.statistics.pushes).reduce((sum, n) => sum + n, 0);
    await eventually(async () => (sent() > 5 ? true : null), "pushes");
    ({ keys } = await cli.json("keys", "restart-counters", "SIM10000001", "--reason", "again"));
    await fleet.stop();
  });
  expect(keys).toHaveLength(1);
  const sent = Object.values(fleet.statistics.pushes).reduce((sum, n) => sum + n, 0);
  await eventually(async () => ((await stored()) === sent ? true : null), `all ${sent} pushes`);
}, 120_000);
