import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { planMeter } from "../../simulator/identity.ts";
import { SimulatedMeter } from "../../simulator/meter.ts";
import { loadModels, type ModelName, type PushKind } from "../../simulator/model.ts";
import { loadCatalogue, readScalers } from "../../src/catalogue/catalogue.ts";
import { catalogueFolder } from "../../src/catalogue/catalogue-folder.ts";
import { decodePush } from "../../src/mapping/body.ts";
import { CaptureLists } from "../../src/mapping/capture-lists.ts";
import { recordsOfCatalogue } from "../../src/mapping/catalogue-records.ts";
import { configureMapping } from "../../src/mapping/configuration.ts";
import { mapPush } from "../../src/mapping/map-push.ts";
import { planOf } from "../../src/mapping/plan.ts";
import type { Row } from "../../src/mapping/rows.ts";
import { zoneRule } from "../../src/mapping/zone.ts";

/*
 * What simulated meters push, with nothing but the catalogue and the example scalers configured, becomes rows of the tables: the
 * lists, the scalers and the destinations fit each other.
 */
const catalogue = loadCatalogue();
const models = loadModels(catalogue);
const scalers = readScalers(join(catalogueFolder(), "example-scalers", "simulated.csv"));
const configuration = configureMapping(recordsOfCatalogue(catalogue, scalers));
const MIDNIGHT = Date.UTC(2026, 9, 31, 18, 30);

function mappedLife(name: ModelName, index: number) {
  const model = models[name];
  const category = name === "HT" ? "D4" : name;
  const plan = planMeter(5, index, model, { protection: null, framing: null, layout: null });
  const schedule = { instantSeconds: 900, blockPushSeconds: 5_400, incidentsPerDay: 30, history: true };
  const meter = new SimulatedMeter(5, plan, model, schedule, MIDNIGHT - 43_200_000);
  const type = { name: model.meterType, category };
  const lists = new CaptureLists(configuration).for({ id: "m", meterType: type.name, category });
  const how = {
    meterId: "m",
    zone: zoneRule("Asia/Kolkata", plan.deviationSign),
    origin: "push",
    receivedAtMs: MIDNIGHT,
    notifiedAtMs: null,
  } as const;
  const pushes = [];
  while (meter.dueMs <= MIDNIGHT + 3_600_000) pushes.push(...meter.next());
  return pushes.map((push) => {
    const captured = decodePush(push.body, { lists, limits: { depthMax: 16, elementsMax: 20_000 } });
    expect(captured.problem, `${push.kind} ${push.pushSetup}`).toBeNull();
    expect(captured.identifiers).toContain(plan.meterNumber);
    const mapped = mapPush(captured, planOf(captured.list!, type, configuration), how);
    return { ...push, mapped };
  });
}

const cell = (row: Row, name: string) => row.cells[row.table.position.get(name)!] as number;
const TABLE: Partial<Record<PushKind, string>> = {
  instant: "instant_profile",
  block: "block_load_profile",
  billing: "billing_profile",
  daily: "energy_measurements",
  event: "meter_events",
};

describe.each([
  ["D1", 0],
  ["D1", 4],
  ["D2", 1],
  ["D2", 3],
  ["D3", 2],
  ["D3", 5],
  ["HT", 0],
  ["HT", 1],
] as const)("what meter %s number %i pushes", (name, index) => {
  const pushes = mappedLife(name, index);
  const rowsOf = (kind: PushKind, table: string) =>
    pushes
      .filter((push) => push.kind === kind)
      .flatMap(({ mapped }) => mapped.rows.filter((row) => row.table.name === table));

  it("gives each row of a push one row of its table, at the time of the capture", () => {
    for (const { kind, times, mapped } of pushes) {
      const table = TABLE[kind];
      if (table === undefined) continue;
      const rows = mapped.rows.filter((row) => row.table.name === table);
      expect(
        rows.map((row) => cell(row, "time")),
        kind,
      ).toEqual(times);
    }
    expect(new Set(pushes.map(({ kind }) => kind)).size).toBe(7);
  });

  it("is believable in SI units", () => {
    for (const row of rowsOf("instant", "instant_profile")) {
      // 11 kV between phases, 6.35 kV to neutral; else 230 V.
      const voltage = cell(row, "voltage_l1_v") / (name === "HT" ? 6_350 / 230 : 1);
      expect(voltage).toBeGreaterThan(200);
      expect(voltage).toBeLessThan(260);
      expect(Math.abs(cell(row, "frequency_hz") - 50)).toBeLessThan(0.5);
      expect(Math.abs(cell(row, "power_factor"))).toBeLessThanOrEqual(1);
      expect(cell(row, "apparent_import_va")).toBeGreaterThanOrEqual(
        Math.abs(cell(row, "active_import_w")) - 1,
      );
      expect(cell(row, "active_import_wh")).toBeGreaterThan(10_000);
      // No demand yet, and no time of it, in the first block of a billing period.
      expect(cell(row, "max_demand_import_w_at") ?? 0).toBeLessThanOrEqual(cell(row, "time"));
    }
    const [block] = rowsOf("block", "block_load_profile");
    expect(cell(block!, "interval_seconds")).toBe(models[name].blockSeconds);
  });

  it("leaves no tariff zone, demand or time of the billing row empty", () => {
    const [row] = rowsOf("billing", "billing_profile");
    const empty = row!.table.columns
      .map(({ name: column }) => column)
      .filter((column) => cell(row!, column) == null);
    // The columns that the model's list does not have, and demands of tariff zones in which nothing was drawn have no time.
    const absent =
      /^(frame_id|extra|reactive_|active_export_t|apparent_export_t|clock_deviation_min|billing_count|max_demand_.*_at$)/;
    const single = name === "D1" ? /^max_demand_import_t/ : /^$/;
    const ct = name === "D3" || name === "HT" ? /^max_demand_export_/ : /^$/;
    expect(
      empty.filter((column) => !absent.test(column) && !single.test(column) && !ct.test(column)),
    ).toEqual([]);
    const tariffs = [1, 2, 3, 4, 5, 6, 7, 8].map((zone) => Number(cell(row!, `active_import_t${zone}_wh`)));
    const total = Number(cell(row!, "active_import_wh"));
    const step = name === "D3" || name === "HT" ? 1_000 : 10;
    expect(Math.abs(tariffs.reduce((a, b) => a + b, 0) - total)).toBeLessThanOrEqual(4 * step);
  });

  it("names events and finds their severity", () => {
    const events = rowsOf("event", "meter_events");
    expect(events.length).toBeGreaterThan(5);
    for (const row of events) {
      const named = catalogue.events.find(
        ({ category, code }) => category === null && code === cell(row, "code"),
      );
      expect(cell(row, "name")).toBe(named?.name);
      expect(cell(row, "severity")).toBe(named?.severity);
    }
    const words = pushes.filter(({ kind }) => kind === "alert").flatMap(({ mapped }) => mapped.statusWords);
    expect(words.length).toBe(pushes.filter(({ kind }) => kind === "alert").length);
  });
});
