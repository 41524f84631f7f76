import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { acceleratedClock } from "../../simulator/clock.ts";
import { Fleet } from "../../simulator/fleet.ts";
import { catalogueFolder } from "../../src/catalogue/catalogue-folder.ts";
import { loadConfig } from "../../src/config.ts";
import { openKeyRing } from "../../src/configured-keys.ts";
import { parseObis } from "../../src/dlms/cosem/obis-code.ts";
import { type RotationStore, rotateKeys } from "../../src/keys/rotation.ts";
import type { MeterAssociation, MeterRoads } from "../../src/polling/meter-association.ts";
import { openRoads } from "../../src/polling/open-roads.ts";
import { openRotationStore } from "../../src/storage/key-rotation.ts";
import { importScalers } from "../../src/storage/scaler-import.ts";
import { type DaemonProcess, eventually, startDaemonProcess } from "../support/daemon.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { type CommandLine, commandLine } from "../support/hes.ts";

/** A process that starts on a busy machine takes its time. */
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

/*
 * Simulated meters push to a daemon under the keys that they have, while `hes keys rotate` calls them and gives them others. What a process that
 * died left behind is in the database alone; the command finds out the rest.
 */
const METERS = 4;
const SECURITY_SETUP = "0.0.43.0.3.255";

let test: TestDatabase;
let cli: CommandLine;
let daemon: DaemonProcess;
let fleet: Fleet;
let numbers: string[];

beforeAll(async () => {
  test = await createTestDatabase();
  cli = commandLine(test.url);
  daemon = await startDaemonProcess({
    HES_DATABASE__URL: test.url,
    HES_DATA_DIR: join(cli.folder, "data"),
  });
  fleet = new Fleet({
    ...{ meters: METERS, models: ["D1"], seed: 21, firstCounter: 1 },
    target: { host: "127.0.0.1", port: daemon.port },
    clock: acceleratedClock(Date.now() - 3_600_000, 60, Date.now),
    schedule: { instantSeconds: 30, blockPushSeconds: null, incidentsPerDay: 0, history: false },
    choices: { protection: 0x30, framing: "wrapper" },
    listen: { host: "127.0.0.1", port: 0 },
  });
  numbers = fleet.plans.map(({ meterNumber }) => meterNumber);
  await fleet.listen();
  await cli.json("meters", "import", cli.file("meters.csv", withPorts(fleet.importCsv())));
  await cli.json("keys", "import", cli.file("keys.csv", fleet.keysCsv()));
  const scalers = readFileSync(join(catalogueFolder(), "example-scalers", "simulated.csv"), "utf8");
  await importScalers(test.database, scalers);
  fleet.start();
  await pushesUnder(null);
});
afterAll(async () => {
  await fleet?.stop();
  await daemon?.end("SIGTERM");
  cli?.remove();
  await test?.drop();
});

/** The ports are the system's choice. */
function withPorts(csv: string): string {
  return csv.replace(/^(SIM(\d+),.*,127\.0\.0\.1),\d+,/gm, (_, before: string, serial: string) => {
    return `${before},${fleet.addressOf(Number(serial) - 10_000_001)!.port},`;
  });
}

/** Waits until each meter has pushed under a key that is newer than `after`. */
async function pushesUnder(after: number | null): Promise<void> {
  await eventually(async () => {
    const [row] = await test.database.query(
      "SELECT count(DISTINCT meter_id) AS meters FROM push_history WHERE verdict = 'applied' AND key_id > coalesce($1::int, 0)",
      [after],
    );
    return row!["meters"] === METERS ? true : null;
  }, "every meter has pushed");
}

async function statesOf(number: string): Promise<string[]> {
  const rows = await test.database.query(
    `SELECT k.kind || ' ' || k.state AS state FROM meter_keys k JOIN public.meters m ON m.id = k.meter_id
      WHERE m.meter_number = $1 AND k.state IN ('NEW', 'ACTIVE') ORDER BY 1`,
    [number],
  );
  return rows.map(({ state }) => state as string);
}

const rotate = (...names: string[]) =>
  cli.hes("keys", "rotate", ...names, "--security-setup", SECURITY_SETUP, "--json");

const SETTLED = ["gak ACTIVE", "guek ACTIVE", "master ACTIVE"];

class Crash extends Error {}
const crash = () => Promise.reject(new Crash("the process dies here"));

/** A rotation that ends where `dying` says. */
async function rotationThatDies(
  number: string,
  dying: {
    readonly store?: (store: RotationStore) => Partial<RotationStore>;
    readonly invoke?: (association: MeterAssociation) => MeterAssociation["invoke"];
  },
): Promise<void> {
  const { config } = loadConfig(join(cli.folder, "hes.toml"));
  const ring = openKeyRing(config);
  const { database } = test;
  const roads = openRoads({ config, database, ring, lent: null, counterBlock: 32 });
  const store = openRotationStore(database, ring);
  const [row] = await database.query("SELECT id FROM public.meters WHERE meter_number = $1", [number]);
  const opened: MeterAssociation[] = [];
  const mortal: MeterRoads = {
    open: async (meterId, options) => {
      const association = await roads.open(meterId, options);
      opened.push(association);
      return {
        ...association,
        ...wholeOf(association),
        ...(dying.invoke ? { invoke: dying.invoke(association) } : {}),
      };
    },
  };
  const rotation = rotateKeys(
    {
      ...{ meterId: row!["id"], kinds: ["guek", "gak"], clientSap: null, through: 48 },
      securitySetup: parseObis(SECURITY_SETUP),
    },
    mortal,
    { ...store, ...dying.store?.(store) },
  );
  await expect(rotation).rejects.toThrow(Crash);
  for (const association of opened) await association.release();
}

/** Of a class, which a spread leaves without its methods. */
const wholeOf = (association: MeterAssociation): MeterAssociation => ({
  meterId: association.meterId,
  clientSap: association.clientSap,
  conformance: association.conformance,
  meterSystemTitle: association.meterSystemTitle,
  read: (...all) => association.read(...all),
  write: (...all) => association.write(...all),
  invoke: (...all) => association.invoke(...all),
  release: () => association.release(),
});

async function newestKey(): Promise<number> {
  const [row] = await test.database.query("SELECT max(id) AS id FROM meter_keys");
  return row!["id"] as number;
}

describe("hes keys rotate against simulated meters that go on pushing", () => {
  it("gives them new keys, and their pushes come under those", async () => {
    const before = await newestKey();
    const { code, stdout, stderr } = await rotate(...numbers);
    expect([stderr, JSON.parse(stdout).map(({ why }: { why: string }) => why), code]).toEqual([
      "",
      ["", "", "", ""],
      0,
    ]);
    expect(JSON.parse(stdout)).toEqual(numbers.map((meter) => ({ meter, outcome: "rotated", why: "" })));
    for (const number of numbers) expect(await statesOf(number)).toEqual(SETTLED);
    await pushesUnder(before);
  });

  it.each([
    ["before the keys were sent", 0, { invoke: () => crash }],
    [
      "when the meter had them and the answer was on its way",
      1,
      {
        invoke:
          (association: MeterAssociation) =>
          (...all: Parameters<MeterAssociation["invoke"]>) =>
            association.invoke(...all).then(crash),
      },
    ],
    ["when they were proved and not yet ACTIVE", 2, { store: () => ({ taken: crash }) }],
  ] as const)("finds out what a rotation left that died %s", async (_, index, dying) => {
    const number = numbers[index]!;
    await rotationThatDies(number, dying);
    expect(await statesOf(number)).toEqual([
      "gak ACTIVE",
      "gak NEW",
      "guek ACTIVE",
      "guek NEW",
      "master ACTIVE",
    ]);
    const { code, stdout } = await rotate(number);
    expect(JSON.parse(stdout)).toEqual([{ meter: number, outcome: "rotated", why: "" }]);
    expect(code).toBe(0);
    expect(await statesOf(number)).toEqual(SETTLED);
    // The meter is spoken to under what is ACTIVE now.
    expect(await cli.hes("clock", number)).toMatchObject({ stderr: "" });
  });

  it("rotates the master key, which wraps what comes after it", async () => {
    const { stdout } = await cli.hes(
      ...["keys", "rotate", numbers[3]!, "--kind", "master", "--security-setup", SECURITY_SETUP, "--json"],
    );
    expect(JSON.parse(stdout)).toMatchObject([{ outcome: "rotated" }]);
    expect(JSON.parse((await rotate(numbers[3]!)).stdout)).toMatchObject([{ outcome: "rotated" }]);
    expect(await statesOf(numbers[3]!)).toEqual(SETTLED);
  });

  it("loses no push and refuses none, whichever keys it came under", async () => {
    await fleet.stop();
    const sent = Object.values(fleet.statistics.pushes).reduce((sum, count) => sum + count, 0);
    const stored = await eventually(async () => {
      const rows = await test.database.query(
        "SELECT verdict, count(*) AS n FROM push_history WHERE kind = 'push' GROUP BY 1",
      );
      return rows.reduce((sum, { n }) => sum + n, 0) >= sent ? rows : null;
    }, "all are stored");
    expect(stored).toEqual([{ verdict: "applied", n: sent }]);
    const text = await (await fetch(`${daemon.http}/metrics`)).text();
    for (const reason of ["bad_tag", "replay", "key_missing", "malformed"]) {
      expect(text).toContain(`hes_refused_total{reason="${reason}"} 0\n`);
    }
  });
});
