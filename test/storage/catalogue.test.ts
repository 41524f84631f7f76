import { appendFileSync, cpSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { loadCatalogue } from "../../src/catalogue/catalogue.ts";
import { catalogueDigest } from "../../src/catalogue/catalogue-digest.ts";
import { catalogueFolder } from "../../src/catalogue/catalogue-folder.ts";
import { openCodeRegistry } from "../../src/storage/obis-codes.ts";
import { loadMappingConfiguration, watchMappingConfiguration } from "../../src/storage/push-configuration.ts";
import { isSeededFrom, seedCatalogue } from "../../src/storage/seed-catalogue.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";

let test: TestDatabase;
const catalogue = loadCatalogue();
beforeAll(async () => {
  test = await createTestDatabase();
});
afterAll(() => test.drop());
const all = (sql: string, parameters: unknown[] = []) => test.database.query(sql, parameters);

describe("a migrated database", () => {
  it("knows every object, list, event and bit of the catalogue", async () => {
    const configuration = await loadMappingConfiguration(test.database);
    for (const object of catalogue.objects) {
      expect(configuration.object(object.code, object.attribute)).toMatchObject({
        classId: object.classId,
        unit: object.unit,
        table: object.table,
        column: object.column,
        profileColumn: object.profileColumn,
      });
    }
    for (const list of catalogue.pushLists) {
      const scope = { meterId: null, meterType: null, category: list.category };
      const found = configuration.lists(list.pushSetup, scope).filter(({ name }) => name === list.name);
      expect(found).toHaveLength(1);
      expect(found[0]).toMatchObject({ kind: list.kind, category: list.category, entries: list.entries });
    }
    for (const bit of [...catalogue.esw, ...catalogue.alarms]) {
      expect(configuration.statusBit(bit.category ?? "", bit.code, bit.bit)?.name).toBe(bit.name);
    }
    const [events] = await all("SELECT count(*) AS n FROM event_codes");
    expect(events?.["n"]).toBe(catalogue.events.length);
    const [types] = await all("SELECT count(*) AS n FROM meter_types");
    expect(types?.["n"]).toBe(catalogue.meterTypes.length);
  });

  it("isn't seeded again with the same catalogue", async () => {
    expect(await seedCatalogue(test.database, catalogue, catalogueDigest())).toBe(false);
  });

  it("is not even read again while its files are the same", async () => {
    expect(await isSeededFrom(test.database, catalogueDigest())).toBe(true);
    const folder = mkdtempSync(join(tmpdir(), "hes-catalogue-"));
    cpSync(catalogueFolder(), folder, { recursive: true });
    expect(catalogueDigest(folder)).toBe(catalogueDigest());
    appendFileSync(join(folder, "scalers", readdirSync(join(folder, "scalers"))[0]!), "\n");
    expect(await isSeededFrom(test.database, catalogueDigest(folder))).toBe(false);
    rmSync(folder, { recursive: true });
  });
});

describe("a newer catalogue", () => {
  it("renews what nobody changed, adds what is new, and leaves alone what a user changed", async () => {
    const [first, second] = catalogue.objects;
    await all("UPDATE obis_codes SET description = 'mine' WHERE code = $1 AND attribute = $2", [
      first!.code,
      first!.attribute,
    ]);
    await openCodeRegistry(test.database, async () => undefined).register([
      { code: "9.9.9.9.9.9", classId: 3, attribute: 2 },
    ]);
    const changed = catalogue.objects.map((object) => ({
      ...object,
      description: `new ${object.description}`,
    }));
    const added = { ...second!, code: "9.9.9.9.9.9", attribute: 2, standard: "later" };
    expect(await seedCatalogue(test.database, { ...catalogue, objects: [...changed, added] })).toBe(true);
    const text = async (code: string, attribute: number) =>
      (
        await all("SELECT description FROM obis_codes WHERE code = $1 AND attribute = $2", [code, attribute])
      )[0]?.["description"];
    expect(await text(first!.code, first!.attribute)).toBe("mine");
    expect(await text(second!.code, second!.attribute)).toBe(`new ${second!.description}`);
    expect(await all("SELECT standard FROM obis_codes WHERE code = '9.9.9.9.9.9'")).toEqual([
      { standard: "later" },
    ]);
    const [entries] = await all("SELECT count(*) AS n FROM push_object_entries");
    const lists = [...catalogue.pushLists, ...catalogue.pollLists];
    expect(entries?.["n"]).toBe(lists.reduce((sum, list) => sum + list.entries.length, 0));
  });
});

describe("the watched configuration", () => {
  it("sees a row that a user writes, and a code that a meter sent", async () => {
    const watched = await watchMappingConfiguration(test.database);
    const before = watched.current().version;
    await all("INSERT INTO meter_types (name, category) VALUES ('MINE', 'D1')");
    while (watched.current().meterType("MINE") === undefined) await new Promise(setImmediate);
    expect(watched.current().version).toBeGreaterThan(before);
    const registry = openCodeRegistry(test.database, watched.reload);
    const ids = await registry.register([
      { code: "1.2.3.4.5.6", classId: 3, attribute: 2 },
      { code: "1.2.3.4.5.6", classId: 3, attribute: 5 },
    ]);
    expect(watched.current().codeId("1.2.3.4.5.6")).toBe(ids.get("1.2.3.4.5.6"));
    await watched.close();
  });
});
