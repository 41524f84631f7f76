import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { loadCatalogue } from "../../src/catalogue/catalogue.ts";
import { readEpochMs } from "../../src/dlms/encoding/date-time.ts";
import { decodePush } from "../../src/mapping/body.ts";
import { CaptureLists } from "../../src/mapping/capture-lists.ts";
import { recordsOfCatalogue } from "../../src/mapping/catalogue-records.ts";
import { configureMapping, type ScalerRecord } from "../../src/mapping/configuration.ts";
import { mapPush } from "../../src/mapping/map-push.ts";
import { planOf } from "../../src/mapping/plan.ts";
import type { Cell, Row } from "../../src/mapping/rows.ts";
import { zoneRule } from "../../src/mapping/zone.ts";

/*
 * What another implementation framed and ciphered, data laid out after the fact sheet: the note beside the file says how it was
 * made. `rows` is the truth: raw × 10^scaler in `unit`.
 */

interface Expected {
  readonly obis: string;
  readonly attribute: number;
  readonly type: string;
  readonly raw: number | string | boolean;
  readonly scaler: number;
  readonly unit: string;
}

interface Vector {
  readonly id: string;
  readonly meter: { readonly category: string; readonly device_id: string };
  readonly push_setup: string;
  readonly layout: string;
  readonly deviation_sign: "standard" | "reversed";
  readonly body: string;
  readonly rows: readonly (readonly Expected[])[];
}

const file = new URL("../vectors/other-implementations/is15959-pushes.jsonl", import.meta.url);
const vectors = readFileSync(file, "utf8")
  .trim()
  .split("\n")
  .map((line) => JSON.parse(line) as Vector);
const catalogue = loadCatalogue();

const PROFILE: Record<string, string | null> = {
  "0.0.25.9.0.255": "instant_profile",
  "0.5.25.9.0.255": "block_load_profile",
  "0.6.25.9.0.255": null,
  "0.132.25.9.0.255": "billing_profile",
  "0.4.25.9.0.255": null,
};
const SOURCE: Record<string, string> = {
  "0.0.25.9.0.255": "instant",
  "0.5.25.9.0.255": "block",
  "0.6.25.9.0.255": "daily",
  "0.132.25.9.0.255": "billing",
  "0.4.25.9.0.255": "event",
};
const RECEIVED = Date.UTC(2026, 10, 1);
const UNSCALED = ["f32", "f64", "dt", "bits", "bool"];

/** Only integers need a configured scaler; of the vector's own meter type. */
function scalersOf(vector: Vector): ScalerRecord[] {
  return vector.rows
    .flat()
    .flatMap(({ obis, attribute, type, scaler, unit }) =>
      UNSCALED.includes(type)
        ? []
        : [{ meterType: vector.id, code: obis, attribute, scaler, unit: unit || null }],
    );
}

function map(vector: Vector) {
  const configuration = configureMapping(recordsOfCatalogue(catalogue, scalersOf(vector)));
  const meter = { id: "m", meterType: vector.id, category: vector.meter.category };
  const lists = new CaptureLists(configuration).for(meter);
  const limits = { depthMax: 16, elementsMax: 20_000 };
  const push = decodePush(Buffer.from(vector.body, "hex"), { lists, limits });
  const zone = zoneRule("Asia/Kolkata", vector.deviation_sign);
  const plan = planOf(push.list!, { name: vector.id, category: vector.meter.category }, configuration);
  const how = { meterId: "m", zone, origin: "push", receivedAtMs: RECEIVED, notifiedAtMs: null } as const;
  return { push, plan, mapped: mapPush(push, plan, how) };
}

const cell = (row: Row, name: string): Cell => row.cells[row.table.position.get(name)!];

function expectedCell({ type, raw, scaler }: Expected, vector: Vector): Cell {
  if (type === "dt") {
    return readEpochMs(Buffer.from(raw as string, "hex"), 0, zoneRule("Asia/Kolkata", vector.deviation_sign));
  }
  return typeof raw === "number" ? Number(`${raw}e${scaler}`) : raw;
}

describe.each(vectors.filter(({ rows }) => rows?.length > 0))("$id", (vector) => {
  const { push, plan, mapped } = map(vector);

  it("names the device, the push setup and its layout", () => {
    expect(push.identifiers).toEqual([vector.meter.device_id]);
    const alert = vector.push_setup === "0.4.25.9.0.255";
    expect(push.layout).toBe(alert ? "is15959-esw" : `is15959-${vector.layout}`);
    expect(plan.source).toBe(SOURCE[vector.push_setup]);
    expect(plan.unknown).toEqual([]);
  });

  it("puts every value where the catalogue says, with its scaler", () => {
    for (const row of vector.rows) {
      const clock = row.find(({ obis }) => obis === "0.0.1.0.0.255" || obis === "0.0.0.1.2.255")!;
      const time = expectedCell(clock, vector);
      const at = mapped.rows.filter((candidate) => cell(candidate, "time") === time);
      expect(at.length).toBeGreaterThan(0);
      for (const value of row) if (value !== clock) findValue(value, at, vector);
    }
  });
});

function findValue(value: Expected, rows: readonly Row[], vector: Vector): void {
  const expected = expectedCell(value, vector);
  const object = catalogue.byCode(value.obis, value.attribute);
  const profile = PROFILE[vector.push_setup];
  const found: string[] = [];
  const measurement = rows.find(({ table }) => table.name === object?.table);
  if (object?.column && measurement) {
    expect([value.obis, cell(measurement, object.column)]).toEqual([value.obis, expected]);
    found.push(object.column);
  }
  if (profile) {
    const row = rows.find(({ table }) => table.name === profile)!;
    const position = object?.profileColumn ? row.table.position.get(object.profileColumn) : undefined;
    const name = value.attribute === 2 ? value.obis : `${value.obis}/${value.attribute}`;
    const extra = JSON.parse((cell(row, "extra") as string) ?? "{}") as Record<string, unknown>;
    const stored = position === undefined ? extra[name] : row.cells[position];
    const inExtra = position === undefined && value.type === "dt";
    const want = inExtra ? new Date(expected as number).toISOString() : expected;
    expect([value.obis, stored]).toEqual([value.obis, want]);
    found.push(profile);
  }
  if (value.type === "bits") {
    const reading = rows.find(({ table }) => table.name === "meter_readings")!;
    const bits = [...(value.raw as string)].map((digit) =>
      Number.parseInt(digit, 16).toString(2).padStart(4, "0"),
    );
    expect(cell(reading, "value_text")).toBe(bits.join(""));
    found.push("meter_readings");
  }
  expect(found, `${value.obis} is stored nowhere`).not.toEqual([]);
}
