import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { loadCatalogue, readScalers } from "../../src/catalogue/catalogue.ts";
import { catalogueFolder } from "../../src/catalogue/catalogue-folder.ts";
import { readCsv } from "../../src/catalogue/csv.ts";
import { MEASUREMENT_TABLES, PROFILE_TABLES } from "../../src/mapping/rows.ts";

const catalogue = loadCatalogue();

/** Blue Book part 4.3.2, table of units: symbols of those that meters of electricity, gas, water and heat use. */
const UNITS =
  "min s h d ° °C currency m m/s m³ m³/h l kg W VA var Wh VAh varh A V Hz V²h A²h K % Ah dBm dB J GJ ms".split(
    " ",
  );

describe("the OBIS catalogue", () => {
  it("has some hundreds of rows, one for each code and attribute", () => {
    const keys = catalogue.objects.map(({ code, attribute }) => `${code}/${attribute}`);
    const byStandard = new Map<string, number>();
    for (const { standard } of catalogue.objects)
      byStandard.set(standard, (byStandard.get(standard) ?? 0) + 1);
    console.log(
      `${keys.length} objects (${[...byStandard].map(([s, o]) => `${s} ${o}`).join(", ")}), ${catalogue.pushLists.length} push lists, ${catalogue.events.length} events, ${catalogue.esw.length} status bits, ${catalogue.alarms.length} alarm bits, ${catalogue.meterTypes.length} meter types`,
    );
    expect(keys.length).toBeGreaterThan(500);
    expect(keys.filter((key, index) => keys.indexOf(key) !== index)).toEqual([]);
  });

  it("names only columns that are there", () => {
    const wrong = catalogue.objects.filter(({ table, column, profileColumn }) => {
      const place =
        table === null || MEASUREMENT_TABLES.find(({ name }) => name === table)?.position.has(column!);
      const profile = profileColumn === null || PROFILE_TABLES.some((t) => t.position.has(profileColumn));
      return !place || !profile;
    });
    expect(wrong).toEqual([]);
  });

  it("gives units by their Blue Book symbols, and the unit that the column's name ends in", () => {
    expect(catalogue.objects.filter(({ unit }) => unit !== null && !UNITS.includes(unit))).toEqual([]);
    const ending: Record<string, string> = {
      ...{ wh: "Wh", vah: "VAh", varh: "varh", w: "W", va: "VA", var: "var" },
      ...{ a: "A", v: "V", hz: "Hz", deg: "°", min: "min", dbm: "dBm" },
    };
    const wrong = catalogue.objects.flatMap(({ code, attribute, unit, column, profileColumn }) =>
      [column, profileColumn]
        .filter((name) => name !== null)
        .filter((name) => (ending[name.split("_").at(-1)!] ?? null) !== unit)
        .map((name) => `${code}/${attribute} ${unit} in ${name}`),
    );
    expect(wrong).toEqual([]);
  });

  it("sends a quantity to columns of one meaning", () => {
    // Two codes share a column only where the one meter has the one and another the other (single phase and L1, block and instant).
    const object = (code: string, attribute = 2) => catalogue.byCode(`${code}.255`, attribute);
    expect(object("1.0.1.8.0")).toMatchObject({
      classId: 3,
      unit: "Wh",
      table: "energy_measurements",
      column: "active_import_wh",
      profileColumn: "active_import_wh",
    });
    expect(object("1.0.1.8.3")).toMatchObject({
      tariff: 3,
      table: null,
      profileColumn: "active_import_t3_wh",
    });
    expect(object("1.0.9.29.0")).toMatchObject({ column: "block_apparent_import_vah" });
    expect(object("1.0.12.7.0")).toMatchObject({ table: "voltage_measurements", column: "voltage_l1_v" });
    expect(object("1.0.51.27.0")).toMatchObject({ table: "current_measurements", column: "current_l2_a" });
    expect(object("1.0.9.6.2", 5)).toMatchObject({ profileColumn: "max_demand_import_t2_va_at", unit: null });
    expect(object("0.0.17.0.0", 3)).toMatchObject({ classId: 71, profileColumn: "load_limit_w", unit: "W" });
    expect(object("0.0.96.3.10")).toMatchObject({ classId: 70, profileColumn: "relay_connected" });
  });
});

describe("push lists", () => {
  it("consist of objects of the catalogue, of their classes", () => {
    const missing = catalogue.pushLists.flatMap(({ name, entries }) =>
      entries
        .filter((entry) => catalogue.byCode(entry.code, entry.attribute)?.classId !== entry.classId)
        .map((entry) => `${name}: ${entry.classId} ${entry.code} ${entry.attribute}`),
    );
    expect(missing).toEqual([]);
  });

  it("of one category and push setup differ in their number of elements or in the sort of one, and have names of their own", () => {
    const SORTS: Record<string, string> = { "date-time": "time", unsigned: "octet", boolean: "octet" };
    const keys = catalogue.pushLists.map(({ category, pushSetup, entries }) => {
      const types = entries.map(({ code, attribute }) => catalogue.byCode(code, attribute)!.dataType ?? "");
      return `${category} ${pushSetup} ${types.map((type) => SORTS[type] ?? (type.endsWith("string") ? type : "number"))}`;
    });
    expect(keys.filter((key, index) => keys.indexOf(key) !== index)).toEqual([]);
    const names = catalogue.pushLists.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
  });

  it("hold the rows that another implementation laid out, column by column", () => {
    const path = new URL("../vectors/other-implementations/is15959-pushes.jsonl", import.meta.url);
    const pushes = readFileSync(path, "utf8")
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(pushes.length).toBe(50);
    for (const push of pushes) {
      const columns: string[] = push.rows[0].map(
        (cell: { obis: string; attribute: number }) => `${cell.obis}/${cell.attribute}`,
      );
      const list = catalogue.pushLists.find(
        ({ category, pushSetup, entries }) =>
          category === push.meter.category &&
          pushSetup === push.push_setup &&
          entries.length === columns.length,
      );
      expect(
        list?.entries.map(({ code, attribute }) => `${code}/${attribute}`),
        push.id,
      ).toEqual(columns);
      for (const cell of push.rows[0]) {
        expect(catalogue.byCode(cell.obis, cell.attribute)?.unit ?? "", cell.obis).toBe(cell.unit);
      }
    }
  });

  it.each(["D1", "D2", "D3", "D4", "A", "B", "C"])("know what meters of category %s push", (category) => {
    const setups = new Set(
      catalogue.pushLists.filter((l) => l.category === category).map((l) => l.pushSetup),
    );
    for (const b of [0, 4, 5, 6, 7, 103, 104, 120, 121, 122, 123, 124, 125, 126, 132])
      expect(setups).toContain(`0.${b}.25.9.0.255`);
  });
});

describe("events", () => {
  it("have one row for each code of a log, and end events that are there", () => {
    const key = (e: { category: string | null; log: string }, code: number) =>
      `${e.category}/${e.log}/${code}`;
    const keys = catalogue.events.map((event) => key(event, event.code));
    expect(keys.filter((k, index) => keys.indexOf(k) !== index)).toEqual([]);
    expect(catalogue.events.filter((e) => e.clears !== null && !keys.includes(key(e, e.clears)))).toEqual([]);
  });

  it("are those of IS 15959: occurrences odd, restorations even, one above", () => {
    const is = catalogue.events.filter(({ category }) => category === null);
    const restorations = is.filter(({ clears }) => clears !== null);
    expect(restorations.length).toBe(26);
    for (const { code, clears } of restorations) expect([code % 2, code - clears!]).toEqual([0, 1]);
    expect(is.find(({ code }) => code === 201)).toMatchObject({ log: "other", severity: "critical" });
    expect(is.find(({ code }) => code === 302)).toMatchObject({ log: "control", clears: 301 });
  });

  it("of the status word: last gasp is bit 85, first breath 86", () => {
    const bit = (n: number) => catalogue.esw.find((b) => b.code === "0.0.94.91.18.255" && b.bit === n);
    expect(bit(85)).toMatchObject({ name: "last gasp", severity: "critical" });
    expect(bit(86)?.name).toBe("first breath");
  });
});

describe("the companion specifications of Europe", () => {
  it("have their event codes in every log, and alarms by bit", () => {
    const event = (category: string, code: number) =>
      catalogue.events.find((e) => e.category === category && e.code === code);
    expect(event("IDIS", 41)).toMatchObject({ log: "*", name: "terminal cover closed", clears: 40 });
    expect(event("DSMR", 103)).toMatchObject({
      name: "M-Bus channel 1: fraud attempt",
      severity: "critical",
    });
    const alarm = (code: string, bit: number) =>
      catalogue.alarms.find((a) => a.category === "DSMR" && a.code === code && a.bit === bit)?.name;
    expect(alarm("0.0.97.98.0.255", 13)).toBe("fraud attempt");
    expect(alarm("0.0.97.98.1.255", 3)).toBe("voltage swell L1");
    expect(alarm("0.0.97.98.2.255", 0)).toBe("last gasp");
  });

  it("have the lists of values without names, by their length", () => {
    const kaifa = catalogue.pushLists.filter(({ category }) => category === "KAIFA-HAN");
    expect(kaifa.map(({ entries }) => entries.length).sort((a, b) => a - b)).toEqual([1, 9, 13, 14, 18]);
  });

  it("have Kamstrup's codes of channel 1 where those of channel 0 go", () => {
    expect(catalogue.byCode("1.1.1.8.0.255", 2)).toMatchObject({ column: "active_import_wh", unit: "Wh" });
    expect(catalogue.byCode("1.1.72.7.0.255", 2)).toMatchObject({ column: "voltage_l3_v", unit: "V" });
  });
});

describe("meter types and example scalers", () => {
  it("name types and objects that are there", () => {
    for (const file of ["example-scalers/simulated.csv", "scalers/customer-interfaces.csv"]) {
      const scalers = readScalers(join(catalogueFolder(), file));
      for (const { meterType, code, attribute, unit } of scalers) {
        expect(catalogue.meterTypes.map(({ name }) => name)).toContain(meterType);
        expect(catalogue.byCode(code, attribute)?.unit ?? null, `${code} of ${meterType}`).toBe(unit);
      }
    }
  });

  it("give each simulated type a scaler for every scaled number that it pushes", () => {
    const scalers = readScalers(join(catalogueFolder(), "example-scalers", "simulated.csv"));
    const known = new Set(scalers.map((s) => `${s.meterType}/${s.code}/${s.attribute}`));
    const missing = catalogue.meterTypes
      .filter(({ name }) => name.startsWith("SIM-"))
      .flatMap(({ name, category }) =>
        catalogue.pushLists
          .filter((list) => list.category === category)
          .flatMap(({ entries }) => entries)
          .filter(({ code, attribute }) => catalogue.byCode(code, attribute)?.unit)
          .filter(({ code, attribute }) => !known.has(`${name}/${code}/${attribute}`))
          .map(({ code, attribute }) => `${name}/${code}/${attribute}`),
      );
    expect([...new Set(missing)]).toEqual([]);
    for (const { code, attribute, unit } of scalers)
      expect(catalogue.byCode(code, attribute)?.unit ?? null).toBe(unit);
  });
});

describe("a faulty file", () => {
  const file = (text: string) => {
    const path = join(mkdtempSync(join(tmpdir(), "catalogue-")), "x.csv");
    writeFileSync(path, text);
    return path;
  };

  it("is named with its line and column", () => {
    const [line] = readCsv(file("# why\na,b\n1.0.1.8,9\n"), "x.csv", ["a", "b"]);
    expect(() => line!.obis("a")).toThrow(
      'x.csv, line 3: a is "1.0.1.8", not an OBIS code like 1.0.1.8.0.255',
    );
    expect(() => line!.integer("b", 0, 5)).toThrow('x.csv, line 3: b is "9", not a whole number from 0 to 5');
    expect(() => readCsv(file("a,c\n"), "x.csv", ["a", "b"])).toThrow(
      "x.csv, line 1: the header must be a,b",
    );
    expect(() => readCsv(file("a,b\n1\n"), "x.csv", ["a", "b"])).toThrow(
      "x.csv, line 2: has 1 fields, not 2",
    );
    expect(() => readCsv(file('a,b\n"1,2\n'), "x.csv", ["a", "b"])).toThrow("x.csv, line");
  });
});
