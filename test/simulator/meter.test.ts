import { describe, expect, it } from "vitest";
import { planMeter } from "../../simulator/identity.ts";
import { beforeMonthEnd, INDIA } from "../../simulator/local-time.ts";
import { type MeterSchedule, SimulatedMeter } from "../../simulator/meter.ts";
import { loadModels, type ModelName } from "../../simulator/model.ts";
import type { PushContent } from "../../simulator/push-body.ts";
import { loadCatalogue } from "../../src/catalogue/catalogue.ts";
import { Reader } from "../../src/dlms/bytes/reader.ts";
import { type Data, readData } from "../../src/dlms/encoding/data.ts";

const models = loadModels(loadCatalogue());
const SCHEDULE: MeterSchedule = {
  instantSeconds: 900,
  blockPushSeconds: null,
  incidentsPerDay: 24,
  history: true,
};
const LIMITS = { depthMax: 8, elementsMax: 1_000 };
const MIDNIGHT = Date.UTC(2026, 9, 31, 18, 30);
const NAMES: readonly ModelName[] = ["D1", "D2", "D3", "HT"];

function meterOf(
  name: ModelName,
  index = 0,
  schedule: Partial<MeterSchedule> = {},
  startMs = MIDNIGHT - 86_400_000,
) {
  const plan = planMeter(7, index, models[name], { protection: null, framing: null, layout: null });
  return new SimulatedMeter(7, plan, models[name], { ...SCHEDULE, ...schedule }, startMs);
}

function live(meter: SimulatedMeter, untilMs: number): PushContent[] {
  const pushes: PushContent[] = [];
  while (meter.dueMs <= untilMs) pushes.push(...meter.next());
  return pushes;
}

/** The columns of a push: of a flat body what follows the push setup, of a nested one each row. */
function rowsOf({ body }: PushContent): Data[][] {
  const root = readData(new Reader(body), LIMITS).value as Data[];
  const last = root.at(-1)!;
  return last.type === "array" ? last.value.map((row) => row.value as Data[]) : [root.slice(2)];
}

const values = (
  pushes: readonly PushContent[],
  kind: string,
  list: { columns: readonly { code: string }[] },
  code: string,
) =>
  pushes
    .filter((push) => push.kind === kind)
    .flatMap(rowsOf)
    .map((row) => row[list.columns.findIndex((column) => column.code === code)]!.value as number);

describe.each(NAMES)("a simulated %s meter", (name) => {
  const model = models[name];
  const pushes = live(meterOf(name, 1), MIDNIGHT + 3_600_000);

  it("pushes rows of exactly the columns of its lists", () => {
    const lists = { block: model.block, daily: model.daily, billing: model.billing, instant: model.instant! };
    for (const [kind, list] of Object.entries(lists)) {
      const rows = pushes.filter((push) => push.kind === kind).flatMap(rowsOf);
      expect(rows.length, kind).toBeGreaterThan(0);
      for (const row of rows) expect(row.length, kind).toBe(list.columns.length);
    }
  });

  it("captures blocks without a gap, a midnight row each midnight and a billing row on the first", () => {
    const times = (kind: string) => pushes.filter((push) => push.kind === kind).flatMap((push) => push.times);
    const step = model.blockSeconds * 1_000;
    const blocks = times("block");
    expect(blocks.length).toBe(25 * (3_600 / model.blockSeconds));
    expect(blocks.every((time, index) => time === blocks[0]! + index * step)).toBe(true);
    expect(times("daily")).toEqual([MIDNIGHT]);
    expect(times("billing")).toEqual([MIDNIGHT]);
    expect(times("instant").length).toBe(100);
  });

  it("has registers that never run backwards and that its blocks add up to", () => {
    for (const code of ["1.0.1.8.0.255", "1.0.2.8.0.255", "1.0.9.8.0.255"]) {
      const readings = values(pushes, "instant", model.instant!, code);
      expect(readings.every((reading, index) => index === 0 || reading >= readings[index - 1]!)).toBe(true);
    }
    const blocks = values(pushes, "block", model.block, "1.0.1.29.0.255");
    const perDay = 86_400 / model.blockSeconds;
    const sum = blocks.slice(0, perDay).reduce((total, value) => total + value, 0) * model.resolution;
    const step = name === "D3" || name === "HT" ? 1_000 : 10;
    const before = values(pushes, "instant", model.instant!, "1.0.1.8.0.255")[0]! * step;
    const after = values(pushes, "daily", model.daily, "1.0.1.8.0.255")[0]! * step;
    expect(sum).toBeGreaterThan(0);
    // Registers are sent in steps of 10 Wh or 1 kWh, so either end may hide less than one.
    expect(Math.abs(after - before - sum)).toBeLessThan(step * 2 + blocks[0]! * model.resolution);
  });

  it("has tariff registers that add up to the total, and demands with their times in the month", () => {
    const billing = pushes.find(({ kind }) => kind === "billing")!;
    const [row] = rowsOf(billing);
    const at = (code: string, attribute = 2) =>
      row![model.billing.columns.findIndex((c) => c.code === code && c.attribute === attribute)]!.value;
    const total = at("1.0.1.8.0.255") as number;
    const zones = [1, 2, 3, 4, 5, 6, 7, 8].map((e) => at(`1.0.1.8.${e}.255`) as number);
    expect(Math.abs(zones.reduce((a, b) => a + b, 0) - total)).toBeLessThanOrEqual(4);
    expect(zones[0]).toBeGreaterThan(0);
    expect(at("1.0.1.6.0.255")).toBeGreaterThan(0);
    const time = at("1.0.1.6.0.255", 5) as Buffer;
    expect([time.readUInt16BE(0), time[2]]).toEqual([2026, 10]);
  });

  it("lives the same life again from the same seed", () => {
    const again = live(meterOf(name, 1), MIDNIGHT + 3_600_000);
    expect(again.map(({ body }) => body.toString("hex"))).toEqual(
      pushes.map(({ body }) => body.toString("hex")),
    );
    const other = live(meterOf(name, 2), MIDNIGHT - 80_000_000);
    expect(other[5]!.body.toString("hex")).not.toBe(pushes[5]!.body.toString("hex"));
  });

  it("gets rows in all seven event logs, numbered without a gap, and alerts whose status word changes", () => {
    const logs = new Map<string, PushContent[]>();
    for (const push of pushes.filter(({ kind }) => kind === "event"))
      logs.set(push.pushSetup, [...(logs.get(push.pushSetup) ?? []), push]);
    expect([...logs.keys()].sort()).toEqual(
      [120, 121, 122, 123, 124, 125, 126].map((b) => `0.${b}.25.9.0.255`),
    );
    const power = logs.get("0.122.25.9.0.255")!;
    expect(power.map(({ eventCode }) => eventCode).slice(0, 2)).toEqual([101, 102]);
    expect(
      rowsOf(power[0]!)[0]!
        .map(({ value }) => value)
        .slice(1),
    ).toEqual([101, 1]);
    expect(
      rowsOf(power[1]!)[0]!
        .map(({ value }) => value)
        .slice(1),
    ).toEqual([102, 2]);
    const words = pushes
      .filter(({ kind }) => kind === "alert")
      .map((push) => (rowsOf(push)[0]![1]!.value as { octets: Buffer }).octets);
    // Bit 85, last gasp, is octet 10, mask 04; bit 86, first breath, mask 02.
    const gasp = words.findIndex((word) => (word[10]! & 0x06) === 0x04);
    expect(gasp).toBeGreaterThanOrEqual(0);
    expect(words[gasp + 1]![10]! & 0x06).toBe(0x02);
  });
});

describe("a simulated meter", () => {
  it("collects the rows of several blocks in one nested push, in order", () => {
    const blocks = live(meterOf("D2", 1, { blockPushSeconds: 7_200 }), MIDNIGHT).filter(
      ({ kind }) => kind === "block",
    );
    expect(blocks.length).toBe(12);
    expect(rowsOf(blocks[0]!).length).toBe(4);
    expect(blocks[0]!.times.map((time) => (time - blocks[0]!.times[0]!) / 1_800_000)).toEqual([0, 1, 2, 3]);
  });

  it("sags under load and exports at noon where it has solar", () => {
    const meters = Array.from({ length: 12 }, (_, index) =>
      live(meterOf("D1", index * 2, { history: false }), MIDNIGHT),
    );
    const exported = meters.map((pushes) => values(pushes, "block", models.D1.block, "1.0.2.29.0.255"));
    expect(exported.some((blocks) => blocks[23]! > 0)).toBe(true);
    expect(exported.some((blocks) => blocks.every((value) => value === 0))).toBe(true);
    // Nothing is exported in the night. Block 1 ends at 00:30, block 24 at 12:00.
    expect(exported.every((blocks) => blocks[3] === 0)).toBe(true);
    for (const pushes of meters) {
      const volts = values(pushes, "block", models.D1.block, "1.0.12.27.0.255").map((raw) => raw / 10);
      expect(Math.min(...volts)).toBeGreaterThan(200);
      expect(Math.max(...volts)).toBeLessThan(260);
      const energy = values(pushes, "block", models.D1.block, "1.0.1.29.0.255");
      const heaviest = energy.indexOf(Math.max(...energy));
      const mean = volts.reduce((a, b) => a + b, 0) / volts.length;
      expect(volts[heaviest]).toBeLessThan(mean);
    }
  });

  it("starts a demonstration shortly before a month ends", () => {
    const start = beforeMonthEnd(INDIA, Date.UTC(2026, 10, 23, 12), 7_200_000);
    expect(new Date(start).toISOString()).toBe("2026-10-31T16:30:00.000Z");
    expect(new Date(beforeMonthEnd(INDIA, start - 1, 7_200_000)).toISOString()).toBe(
      "2026-09-30T16:30:00.000Z",
    );
  });
});
