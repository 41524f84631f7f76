import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { acceleratedClock } from "../../simulator/clock.ts";
import { Fleet } from "../../simulator/fleet.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { type CommandLine, commandLine } from "../support/hes.ts";

/*
 * A simulated D1 whose meter reader (32), utility setting (48) and firmware upgrade (80) have keys of their own, and the meter another set for
 * its pushes; all of it known from one file of meters and one of keys.
 */
const OPTIONS = {
  meters: 2,
  models: ["D1" as const],
  seed: 5,
  target: { host: "127.0.0.1", port: 9 },
  clock: acceleratedClock(Date.now() - 900_000, 1, Date.now),
  schedule: { instantSeconds: 3_600, blockPushSeconds: null, incidentsPerDay: 0, history: false },
  choices: { clientKeys: true, framing: "wrapper" as const, protection: 0x30 as const },
  listen: { host: "127.0.0.1", port: 0 },
};

let test: TestDatabase;
let cli: CommandLine;
let fleet: Fleet;
let own: string;
let mixed: string;

/** Of the second meter utility setting has the keys of meter reader, by mistake. */
function withMistake(keysCsv: string): string {
  const rows = keysCsv.split("\n").map((line) => line.split(","));
  const of = (sap: string) => rows.find(([meter, client]) => meter === mixed && client === sap)!;
  of("48").splice(5, 2, ...of("32").slice(5));
  return rows.map((row) => row.join(",")).join("\n");
}

beforeAll(async () => {
  test = await createTestDatabase();
  cli = commandLine(test.url);
  fleet = new Fleet({ ...OPTIONS, firstCounter: 1 });
  await fleet.listen();
  [own, mixed] = fleet.plans.map(({ meterNumber }) => meterNumber) as [string, string];
  // Ports of the system's choice: meter number i says 0 + i until it is known.
  const meters = [0, 1].reduce(
    (text, index) => text.replace(`127.0.0.1,${index},`, `127.0.0.1,${fleet.addressOf(index)!.port},`),
    fleet.importCsv(),
  );
  await cli.json("meters", "import", cli.file("meters.csv", meters));
  await cli.json("keys", "import", cli.file("keys.csv", withMistake(fleet.keysCsv())));
});
afterAll(async () => {
  await fleet?.stop();
  cli?.remove();
  await test?.drop();
});

describe("a meter with different keys for each association", () => {
  it("has a set for each in the file of keys, none like another", () => {
    const [header, ...lines] = fleet.keysCsv().trim().split("\n");
    expect(header).toBe("meter_number,client_sap,mechanism,secret,context,guek,gak");
    const rows = lines.map((line) => line.split(",")).filter(([meter]) => meter === own);
    expect(rows.map(([, sap]) => sap)).toEqual(["16", "32", "48", "64", "80"]);
    const { guek, gak } = fleet.plans[0]!.keys;
    const meterKeys = [guek.toString("hex"), gak!.toString("hex")];
    const keys = [...rows.flatMap((row) => row.slice(5)), ...meterKeys].filter((key) => key !== "");
    expect(keys).toHaveLength(8);
    expect(new Set(keys).size).toBe(keys.length);
  });

  it("is read as meter reader, and its clock set as utility setting", async () => {
    const read = await cli.json("read", own, "1.0.1.8.0.255", "0.0.96.1.0.255", "--client", "32");
    expect(read.objects).toMatchObject([
      { obis: "1.0.1.8.0.255", unit: "Wh", value: expect.any(Number) },
      { obis: "0.0.96.1.0.255", value: expect.stringContaining("10000001") },
    ]);
    // Its life began a quarter of an hour late, for it to be set.
    const clock = await cli.json("clock", own, "--set", "--force");
    expect(clock).toMatchObject({ verdict: "too-far", set: { state: "verified" } });
    expect(Math.abs(clock.set.after.offset_seconds)).toBeLessThan(60);
  });

  it("lets nobody in under the keys of another association", async () => {
    expect((await cli.hes("read", mixed, "1.0.1.8.0.255", "--client", "32")).code).toBe(0);
    const refused = await cli.hes("read", mixed, "1.0.1.8.0.255", "--client", "48");
    expect([refused.code, refused.stderr]).toEqual([69, expect.stringContaining("refuses the association")]);
  });
});
