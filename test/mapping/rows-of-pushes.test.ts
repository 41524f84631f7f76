import { describe, expect, it } from "vitest";
import { loadCatalogue } from "../../src/catalogue/catalogue.ts";
import { decodePush } from "../../src/mapping/body.ts";
import { CaptureLists } from "../../src/mapping/capture-lists.ts";
import { recordsOfCatalogue } from "../../src/mapping/catalogue-records.ts";
import { configureMapping, type ScalerRecord } from "../../src/mapping/configuration.ts";
import { mapPush } from "../../src/mapping/map-push.ts";
import { planOf } from "../../src/mapping/plan.ts";
import type { Cell, Row } from "../../src/mapping/rows.ts";
import { UnmappableError } from "../../src/mapping/unmappable.ts";
import { zoneRule } from "../../src/mapping/zone.ts";

const scaler = (code: string, value: number, unit: string | null): ScalerRecord => ({
  ...{ meterType: "kind", code, attribute: 2, scaler: value, unit },
});
const SCALERS = [
  scaler("1.0.1.8.0.255", 1, "Wh"),
  scaler("1.0.9.8.0.255", 0, "kVAh"),
  scaler("1.0.2.8.0.255", -3, "Wh"),
  scaler("1.0.10.8.0.255", 0, "VAh"),
];
const RECEIVED = Date.UTC(2026, 9, 6, 1);

function map(hex: string, scalers: readonly ScalerRecord[] = SCALERS, receivedAtMs = RECEIVED) {
  const configuration = configureMapping(recordsOfCatalogue(loadCatalogue(), scalers));
  const lists = new CaptureLists(configuration).for({ id: "m", meterType: "kind", category: "D1" });
  const body = Buffer.from(hex.replaceAll(/\s+/g, ""), "hex");
  const push = decodePush(body, { lists, limits: { depthMax: 16, elementsMax: 1_000 } });
  const plan = planOf(push.list!, { name: "kind", category: "D1" }, configuration);
  const zone = zoneRule("Asia/Kolkata", "standard");
  return mapPush(push, plan, { meterId: "m", zone, origin: "push", receivedAtMs, notifiedAtMs: null });
}

const cell = (row: Row | undefined, name: string): Cell => row?.cells[row.table.position.get(name)!];
const rowOf = (rows: readonly Row[], table: string) => rows.find((row) => row.table.name === table);

/* As in body.test.ts: device id, push setup, clock 2026-10-06 00:00 in India, which is 18:30 UTC the day before. */
const DAILY = "0207 0a03414243 0906 0006190900ff 090c 07ea0a06ff00000000800000";
const MIDNIGHT = Date.UTC(2026, 9, 5, 18, 30);

describe("a capture in a time to come", () => {
  const values = `${DAILY} 06000003e8 060000044c 0600000002 0600000003`;

  it("is implausible, unless our own clock was never set: then the meter's is the only one that knows", () => {
    const { rows } = map(values, SCALERS, Date.UTC(1970, 0, 1));
    expect(cell(rowOf(rows, "energy_measurements"), "time")).toBe(MIDNIGHT);
    const inYears = values.replace("07ea", "07ef");
    expect(() => map(inYears, SCALERS)).toThrow(/the meter's clock is wrong/);
  });
});

describe("scalers", () => {
  it("are the meter type's: raw × 10^scaler, kVAh as thousands of VAh", () => {
    const { rows, valueCount } = map(`${DAILY} 06000003e8 060000044c 0600000002 0600000003`);
    const energy = rowOf(rows, "energy_measurements");
    expect(cell(energy, "active_import_wh")).toBe(10_000);
    expect(cell(energy, "apparent_import_vah")).toBe(1_100_000);
    expect(cell(energy, "active_export_wh")).toBe(0.002);
    expect([cell(energy, "source"), cell(energy, "time")]).toEqual(["daily", MIDNIGHT]);
    expect(valueCount).toBe(4);
  });

  it("do not touch what comes as floating-point", () => {
    // 17 44 7a 00 00: float32 1000.
    const { rows } = map(`${DAILY} 17447a0000 060000044c 0600000002 0600000003`);
    expect(cell(rowOf(rows, "energy_measurements"), "active_import_wh")).toBe(1000);
  });

  it("that are missing set the push aside, and the text names the objects and what to do", () => {
    const missing = () => map(`${DAILY} 06000003e8 060000044c 0600000002 0600000003`, SCALERS.slice(1));
    expect(missing).toThrow(UnmappableError);
    expect(missing).toThrow(/1\.0\.1\.8\.0\.255.*hes meter-types import/);
  });

  it("of an object that a frame names are the frame's", () => {
    // 0.0.1.0.0.255 · clock; 1.0.32.7.0.255 · 23061 · {−2, V}.
    const { rows } = map(
      "0202 0202 0906 0000010000ff 090c 07ea0a06ff00000000800000 0203 0906 0100200700ff 125a15 0202 0ffe 1623",
    );
    const voltage = rowOf(rows, "voltage_measurements");
    expect([cell(voltage, "voltage_l1_v"), cell(voltage, "source")]).toEqual([230.61, "single"]);
    expect(cell(voltage, "time")).toBe(MIDNIGHT);
  });

  it("a value in another unit than the column's is stored beside it", () => {
    // The voltage in A (33).
    const { rows } = map("0101 0203 0906 0100200700ff 125a15 0202 0ffe 1621");
    expect(rowOf(rows, "voltage_measurements")).toBeUndefined();
    expect(cell(rowOf(rows, "meter_readings"), "value")).toBe(230.61);
    expect(cell(rowOf(rows, "meter_readings"), "unit")).toBe("A");
  });
});

describe("times", () => {
  it("of captures that cannot be are refused", () => {
    const body = (year: string) =>
      `0207 0a03414243 0906 0006190900ff 090c ${year}0a06ff00000000800000 0600000001 0600000001 0600000001 0600000001`;
    expect(() => map(body("07d0"))).toThrow(/clock is wrong/);
    expect(() => map(body("0834"))).toThrow(/clock is wrong/);
    // An unspecified year: a daily row without a time is no daily row.
    expect(() => map(body("ffff"))).toThrow(UnmappableError);
  });

  it("with a deviation are what the deviation says", () => {
    // FEB6: −330 minutes.
    const { rows } = map(
      "0207 0a03414243 0906 0006190900ff 090c 07ea0a06ff00000000feb600 0600000001 0600000001 0600000001 0600000001",
    );
    expect(cell(rowOf(rows, "energy_measurements"), "time")).toBe(MIDNIGHT);
  });
});

describe("what has no column", () => {
  it("an object that no list knows goes to meter_readings, as number, text or bits", () => {
    const configuration = configureMapping(recordsOfCatalogue(loadCatalogue()));
    const lists = new CaptureLists(configuration).for({ id: "m", meterType: "kind", category: "D1" });
    const body = Buffer.from("010102020906 01006309c8ff 1105".replaceAll(" ", ""), "hex");
    const push = decodePush(body, { lists, limits: { depthMax: 4, elementsMax: 10 } });
    const plan = planOf(push.list!, { name: "kind", category: "D1" }, configuration);
    expect(plan.unknown.map(({ code }) => code)).toEqual(["1.0.99.9.200.255"]);
  });

  it("null-data leaves a cell empty", () => {
    const { rows } = map(`${DAILY} 06000003e8 00 00 0600000003`);
    const energy = rowOf(rows, "energy_measurements");
    expect([cell(energy, "active_import_wh"), cell(energy, "apparent_import_vah")]).toEqual([10_000, null]);
  });
});

describe("event logs", () => {
  /* 0.120.25.9.0.255, voltage log of D1: clock, event code, A, V, power factor, Wh, tamper count. */
  const body = (code: string) =>
    `0209 0a03414243 0906 0078190900ff 090c 07ea0a06ff0a0f1e00800000 12${code} 1200fa 120900 1003e8 0600000064 0600000003`;
  const scalers = [
    scaler("1.0.94.91.14.255", -2, "A"),
    scaler("1.0.12.7.0.255", -1, "V"),
    scaler("1.0.13.7.0.255", -3, null),
    scaler("1.0.1.8.0.255", 0, "Wh"),
  ];

  it("give an event with the standard's name and what stood beside it", () => {
    const { rows } = map(body("0007"), scalers);
    const event = rowOf(rows, "meter_events");
    expect([cell(event, "log"), cell(event, "code"), cell(event, "active")]).toEqual(["voltage", 7, true]);
    expect(cell(event, "name")).toMatch(/over-voltage/i);
    expect(JSON.parse(cell(event, "context") as string)).toMatchObject({ "1.0.12.7.0.255": 230.4 });
    expect(cell(rowOf(rows, "voltage_measurements"), "source")).toBe("event");
  });

  it("tell what an even code ends", () => {
    const event = rowOf(map(body("0008"), scalers).rows, "meter_events");
    expect([cell(event, "active"), cell(event, "clears_code")]).toEqual([false, 7]);
  });
});

describe("a list that does not fit", () => {
  it("is noticed where a time stands in place of a number, or a number in place of the clock", () => {
    const clock = "090c 07ea0a06ff00000000800000";
    const swapped = `0207 0a03414243 0906 0006190900ff 0600000001 ${clock} 0600000001 0600000001 0600000001`;
    expect(() => map(swapped)).toThrow(/in place of the clock/);
    const shifted = `0207 0a03414243 0906 0006190900ff ${clock} ${clock} 0600000001 0600000001 0600000001`;
    expect(() => map(shifted)).toThrow(/does not fit/);
  });
});
