import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { acceleratedClock } from "../../simulator/clock.ts";
import { playedDevice } from "../../simulator/device/played-model.ts";
import { Fleet } from "../../simulator/fleet.ts";
import type { FleetOptions } from "../../simulator/fleet-options.ts";
import { modelFromJson } from "../../src/dlms/cosem/meter-model-reader.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { type CommandLine, commandLine } from "../support/hes.ts";

/*
 * A meter that was read whole, simulated from the file, and read again: the same objects, the same rights of the same clients, the same
 * values. An object more or less would show.
 */
interface ModelFile {
  readonly associations: readonly { readonly client_sap: number }[];
  readonly objects: readonly {
    readonly class: number;
    readonly logical_name: string;
    readonly attributes: Record<string, unknown>;
  }[];
}

let test: TestDatabase;
let cli: CommandLine;

beforeAll(async () => {
  test = await createTestDatabase();
  cli = commandLine(test.url);
});
afterAll(async () => {
  cli?.remove();
  await test?.drop();
});

async function readWhole(options: Partial<FleetOptions>, clients: readonly number[]): Promise<ModelFile> {
  const fleet = new Fleet({
    ...{ meters: 1, seed: 5, target: { host: "127.0.0.1", port: 9 } },
    clock: acceleratedClock(Date.UTC(2026, 6, 24, 4, 30), 1, Date.now),
    schedule: { instantSeconds: 3_600, blockPushSeconds: null, incidentsPerDay: 0, history: false },
    choices: { framing: "wrapper", protection: 0x30 },
    listen: { host: "127.0.0.1", port: 0 },
    firstCounter: 1,
    ...options,
  });
  await fleet.listen();
  try {
    const csv = fleet.importCsv().replace("127.0.0.1,0,", `127.0.0.1,${fleet.addressOf(0)!.port},`);
    await cli.json("meters", "import", cli.file("meters.csv", csv));
    await cli.json("keys", "import", cli.file("keys.csv", fleet.keysCsv()));
    const output = cli.file("model.json", "");
    const { meterNumber } = fleet.plans[0]!;
    const asked = clients.flatMap((sap) => ["--client", String(sap)]);
    const { code, stderr } = await cli.hes("read", meterNumber, "--all", ...asked, "--output", output);
    expect(code, stderr).toBe(0);
    return JSON.parse(readFileSync(output, "utf8"));
  } finally {
    await fleet.stop();
  }
}

/** What goes on by itself while it is read: the clock, counters of the association that reads. */
const isMoving = (object: ModelFile["objects"][number], attribute: string) =>
  attribute === "2" && (object.class === 8 || object.logical_name.startsWith("0.0.43.1."));

function valuesOf({ objects }: ModelFile): Record<string, unknown> {
  const all = objects.flatMap((object) =>
    Object.entries(object.attributes).map(([attribute, value]) => [
      `${object.class}/${object.logical_name}/${attribute}`,
      isMoving(object, attribute) ? "moving" : value,
    ]),
  );
  return Object.fromEntries(all);
}

describe.each([
  ["IDIS", [16, 1], 60],
  ["HT", [16, 48], 120],
] as const)("a simulated %s meter", (model, clients, least) => {
  it("is the same once it was read whole and is simulated from the file", async () => {
    const read = await readWhole({ models: [model] }, clients);
    expect(read.objects.length).toBeGreaterThan(least);
    // Which a peer that read it could not read.
    expect(valuesOf(read)["70/0.0.96.3.10.255/2"]).toEqual({ data: { boolean: true } });
    const device = playedDevice(modelFromJson(read));
    const again = await readWhole({ models: [model], device, firstCounter: 10_000 }, clients);
    expect(again.associations).toEqual(read.associations);
    expect(valuesOf(again)).toEqual(valuesOf(read));
  }, 60_000);
});
