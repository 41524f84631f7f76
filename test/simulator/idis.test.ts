import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { planMeter } from "../../simulator/identity.ts";
import { SimulatedMeter } from "../../simulator/meter.ts";
import { loadModels } from "../../simulator/model.ts";
import { loadCatalogue, readScalers } from "../../src/catalogue/catalogue.ts";
import { catalogueFolder } from "../../src/catalogue/catalogue-folder.ts";
import { decodePush } from "../../src/mapping/body.ts";
import { CaptureLists } from "../../src/mapping/capture-lists.ts";
import { recordsOfCatalogue } from "../../src/mapping/catalogue-records.ts";
import { configureMapping } from "../../src/mapping/configuration.ts";
import { mapPush } from "../../src/mapping/map-push.ts";
import { planOf } from "../../src/mapping/plan.ts";
import { zoneRule } from "../../src/mapping/zone.ts";

const catalogue = loadCatalogue();
const model = loadModels(catalogue).IDIS;
const scalers = readScalers(join(catalogueFolder(), "example-scalers", "simulated.csv"));
const configuration = configureMapping(recordsOfCatalogue(catalogue, scalers));
/** 2026-10-24 20:00 UTC: the night in which 02:00 to 03:00 comes twice in Vienna. */
const EVENING = Date.UTC(2026, 9, 24, 20);
const HOUR = 3_600_000;

function lifeOf(hours: number, blockPushSeconds: number, incidentsPerDay: number) {
  const plan = planMeter(5, 0, model, { protection: null, framing: null, layout: null });
  const schedule = { instantSeconds: 900, blockPushSeconds, incidentsPerDay, history: false };
  const meter = new SimulatedMeter(5, plan, model, schedule, EVENING);
  const pushes = [];
  while (meter.dueMs <= EVENING + hours * HOUR) pushes.push(...meter.next());
  return { plan, pushes };
}

describe("an IDIS meter", () => {
  it("pushes load profile 1 behind the list of what it pushes, its name and the time", () => {
    const { plan, pushes } = lifeOf(1, 900, 0);
    const push = pushes.find(({ kind }) => kind === "block")!;
    // EUROPE-FACTS 2.3: the push object list { class, logical name, attribute, data index } × 4: the push setup itself, the logical device name,
    // the clock, the buffer; then the values. 2026-10-24 22:15 in summer: deviation −120 (FF88), status 80.
    const list =
      "0104" +
      "0204 120028 0906 0001190900ff 0f02 120000" +
      "0204 120001 0906 00002a0000ff 0f02 120000" +
      "0204 120008 0906 0000010000ff 0f02 120000" +
      "0204 120007 0906 0100630100ff 0f02 120000";
    const clock = "090c 07ea0a18ff160f0000ff8880";
    const name = Buffer.from("SIM0000010000001", "latin1").toString("hex");
    const head = `0204${list}0910${name}${clock}0101 0206 ${clock} 1100 06`.replaceAll(" ", "");
    expect(plan.identity.logicalDeviceName).toBe("SIM0000010000001");
    expect(push.body.toString("hex").slice(0, head.length)).toBe(head);
    // Four registers of five octets, the tag of the first counted above.
    expect(push.body.length).toBe(head.length / 2 - 1 + 4 * 5);
    expect(push.pushSetup).toBe("0.1.25.9.0.255");
  });

  it("has its pushes stored: registers of each quarter of an hour, the doubled one too, and alarms", () => {
    const { pushes } = lifeOf(12, 3_600, 40);
    const type = { name: model.meterType, category: "IDIS" };
    const lists = new CaptureLists(configuration).for({ id: "m", meterType: type.name, category: "IDIS" });
    const how = {
      meterId: "m",
      zone: zoneRule("Europe/Vienna", "standard"),
      origin: "push",
      receivedAtMs: EVENING,
      notifiedAtMs: null,
    } as const;
    const mapped = pushes.map((push) => {
      const captured = decodePush(push.body, { lists, limits: { depthMax: 16, elementsMax: 20_000 } });
      expect(captured.problem, push.kind).toBeNull();
      return { ...push, mapped: mapPush(captured, planOf(captured.list!, type, configuration), how) };
    });
    const rows = mapped
      .filter(({ kind }) => kind === "block")
      .flatMap((push) => push.mapped.rows.filter(({ table }) => table.name === "block_load_profile"));
    const cells = (name: string) => rows.map((row) => row.cells[row.table.position.get(name)!] as number);
    expect(cells("time")).toEqual(
      Array.from({ length: 48 }, (_, quarter) => EVENING + (quarter + 1) * 900_000),
    );
    const readings = cells("active_import_wh");
    expect(readings.every((reading, at) => at === 0 || reading >= readings[at - 1]!)).toBe(true);
    expect(readings.at(-1)! - readings[0]!).toBeGreaterThan(100);
    expect(cells("reactive_export_varh").every((value) => value >= 0)).toBe(true);
    // Nothing is pushed that isn't pushed by such a meter.
    expect(new Set(pushes.map(({ kind }) => kind))).toEqual(new Set(["name-plate", "block", "alert"]));
    const words = mapped.filter(({ kind }) => kind === "alert").flatMap((push) => push.mapped.statusWords);
    expect(words.length).toBeGreaterThan(2);
    // Fraud attempt, bit 13 of alarm register 1.
    expect(JSON.stringify(words)).toContain(`${"0".repeat(13)}1`);
  });
});
