import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { acceleratedClock } from "../../simulator/clock.ts";
import { Fleet } from "../../simulator/fleet.ts";
import { catalogueFolder } from "../../src/catalogue/catalogue-folder.ts";
import { verify } from "../../src/cli/simulate/verification.ts";
import { importScalers } from "../../src/storage/scaler-import.ts";
import { type DaemonProcess, eventually, startDaemonProcess } from "../support/daemon.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { type CommandLine, commandLine } from "../support/hes.ts";

/** A process that starts on a busy machine takes its time. */
vi.setConfig({ testTimeout: 120_000 });

/*
 * Meters that have opened a connection to one of two daemons, and push over it four times a second. Commands and polls go by the database
 * to the daemon that holds the connection and over that connection, and of the pushes nothing is lost.
 */
const METERS = 3;
const SPEED = 60;
const INSTANT_SECONDS = 15;
const HOUR = 3_600_000;
const POLLED = /^hes_polls_total\{result="applied"\} (\d+)$/m;

let test: TestDatabase;
let cli: CommandLine;
let idle: DaemonProcess;
let holder: DaemonProcess;

/** Three hours ago by their clocks, which run so many times as fast as time. */
const fleetTo = ({ port }: DaemonProcess, firstCounter: number, speed = SPEED) =>
  new Fleet({
    meters: METERS,
    models: ["D1"],
    seed: 11,
    target: { host: "127.0.0.1", port },
    clock: acceleratedClock(Date.now() - 3 * HOUR, speed, Date.now),
    schedule: {
      instantSeconds: speed === 1 ? 1 : INSTANT_SECONDS,
      blockPushSeconds: null,
      incidentsPerDay: 40,
      history: true,
    },
    firstCounter,
  });

async function polledBy({ http }: DaemonProcess): Promise<number> {
  const text = await (await fetch(`${http}/metrics`)).text();
  return Number(POLLED.exec(text)?.[1] ?? 0);
}

beforeAll(async () => {
  test = await createTestDatabase();
  cli = commandLine(test.url);
  await cli.json(
    "meters",
    "import",
    cli.file("meters.csv", fleetTo({ port: 1 } as DaemonProcess, 1).importCsv()),
  );
  await cli.json("keys", "import", cli.file("keys.csv", fleetTo({ port: 1 } as DaemonProcess, 1).keysCsv()));
  const scalers = readFileSync(join(catalogueFolder(), "example-scalers", "simulated.csv"), "utf8");
  await importScalers(test.database, scalers);
  const start = (name: string) =>
    startDaemonProcess({
      HES_DATABASE__URL: test.url,
      HES_DATA_DIR: join(cli.folder, name),
      HES_SECURITY__KEK_FILE: join(cli.folder, "data", "kek"),
    });
  [idle, holder] = await Promise.all([start("idle"), start("holder")]);
}, 120_000);
afterAll(async () => {
  await Promise.all([idle?.end("SIGTERM"), holder?.end("SIGTERM")]);
  cli?.remove();
  await test?.drop();
});

describe("meters that call one of two daemons", () => {
  it("are polled and commanded over their own connection by the daemon that holds it, while their pushes go on", async () => {
    const fleet = fleetTo(holder, 1);
    const numbers = fleet.plans.map(({ meterNumber }) => meterNumber);
    const startedAt = Date.now();
    fleet.start();
    await eventually(async () => (fleet.statistics.pushes.instant > 20 ? true : null), "pushes");

    const read = await cli.json("read", numbers[0]!, "1.0.1.8.0.255", "0.0.96.1.0.255");
    expect(read.objects[0]).toMatchObject({ obis: "1.0.1.8.0.255", unit: "Wh", value: expect.any(Number) });
    const clocks = await Promise.all(numbers.map((number) => cli.hes("clock", number, "--json")));
    for (const clock of clocks) {
      expect(clock.stderr).toBe("");
      expect(JSON.parse(clock.stdout)).toMatchObject({ verdict: "too-far", set: null });
    }
    const added = await cli.hes("schedules", "add", "blocks", "--cron", "0 0 1 1 *", "--reads", "block");
    expect([added.code, added.stderr]).toEqual([0, ""]);
    expect((await cli.hes("schedules", "run", "blocks", "now")).stdout).toContain(`${METERS} polls`);
    await eventually(async () => {
      const [row] = await test.database.query(
        "SELECT count(DISTINCT meter_id) AS n FROM push_history WHERE kind = 'poll' AND verdict = 'applied'",
      );
      return row!["n"] === METERS ? true : null;
    }, "every meter was polled");
    expect(await polledBy(idle)).toBe(0);
    expect(await polledBy(holder)).toBeGreaterThanOrEqual(METERS);

    const before = fleet.statistics.pushes.instant;
    await eventually(async () => (fleet.statistics.pushes.instant > before ? true : null), "more pushes");
    await fleet.stop();
    expect(fleet.statistics).toMatchObject({ connections: METERS, failures: 0, repeats: 0 });
    const { problems, pushes } = await verify(test.database, fleet, startedAt);
    expect(problems).toEqual([]);
    expect(pushes.applied).toBe(pushes.sent);
    expect(await test.database.query("SELECT reason FROM security_events")).toEqual([]);
    console.info(
      `${pushes.sent} pushes, a read, ${METERS} clocks and ${METERS} polls over ${METERS} connections`,
    );
  });

  it("have their clock set over it, and say so where they have hung up", async () => {
    // A clock that ran fast would be off again by more than its tolerance 0.2 s after it was set.
    const fleet = fleetTo(holder, 1_000_000, 1);
    const [number] = fleet.plans.map(({ meterNumber }) => meterNumber);
    fleet.start();
    await eventually(async () => (fleet.statistics.pushes.instant > 5 ? true : null), "pushes");
    const set = await cli.json("clock", number!, "--set", "--force");
    expect(set).toMatchObject({ verdict: "too-far", set: { state: "verified" } });
    expect(Math.abs(set.set.after.offset_seconds)).toBeLessThan(15);
    await fleet.stop();
    const gone = await eventually(async () => {
      const answer = await cli.hes("clock", number!);
      // At first the daemon may not have noticed yet, and lends a connection that breaks.
      return answer.stderr.includes(`meter ${number} calls us, and it is not connected`) ? answer : null;
    }, "a meter that has hung up");
    expect(gone.code).toBe(69);
    expect(await test.database.query("SELECT FROM lent_associations")).toEqual([]);
  });
});
