import { afterAll, beforeAll, expect, it } from "vitest";
import { decodePush } from "../../src/mapping/body.ts";
import { CaptureLists } from "../../src/mapping/capture-lists.ts";
import { loadMappingConfiguration } from "../../src/storage/push-configuration.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { type CommandLine, commandLine } from "../support/hes.ts";
import * as wire from "../support/wire.ts";

let test: TestDatabase;
let cli: CommandLine;
beforeAll(async () => {
  test = await createTestDatabase();
  cli = commandLine(test.url);
  await test.database.query("INSERT INTO meter_types (name, category) VALUES ('ACME-1', 'ACME')");
});
afterAll(async () => {
  cli.remove();
  await test.drop();
});

const HEAD = "standard,category,push_setup,kind,list,position,class_id,code,attribute,data_index";
const csv = (second: string) => `${HEAD}
acme,ACME,,instant,list 3,1,3,1.0.1.7.0.255,2,0
acme,ACME,,instant,list 3,2,3,${second},2,0
acme,ACME,,instant,list 3,3,3,1.0.32.7.0.255,2,0
`;
const body = Buffer.from(wire.structure(wire.u32(1956), wire.u32(0), wire.u16(2307)), "hex");

/** What the body's values are for a meter of the type, by the database's lists. */
async function codes(): Promise<string[] | string | null> {
  const lists = new CaptureLists(await loadMappingConfiguration(test.database)).for({
    id: "m",
    meterType: "ACME-1",
    category: "ACME",
  });
  const { list, problem } = decodePush(body, { lists, limits: { depthMax: 8, elementsMax: 100 } });
  return list === null ? problem : list.columns.map(({ code }) => code);
}

it("explains bodies without names by a user's own list, and by what it was replaced with", async () => {
  expect(await codes()).toBe("no list of 3 values is configured for bodies without names");
  const file = cli.file("acme.csv", csv("1.0.2.7.0.255"));
  expect((await cli.hes("push-lists", "import", file, "--dry-run")).stdout).toContain(
    "1 lists would be imported",
  );
  expect(await codes()).toContain("no list");
  expect(await cli.json("push-lists", "import", file)).toEqual({ lists: 1, categoriesWithoutType: [] });
  expect(await codes()).toEqual(["1.0.1.7.0.255", "1.0.2.7.0.255", "1.0.32.7.0.255"]);
  expect(await cli.json("push-lists", "import", cli.file("again.csv", csv("1.0.3.7.0.255")))).toMatchObject({
    lists: 1,
  });
  expect(await codes()).toEqual(["1.0.1.7.0.255", "1.0.3.7.0.255", "1.0.32.7.0.255"]);
});

it("says which line is wrong, and that no meter type uses a list", async () => {
  const wrong = await cli.hes("push-lists", "import", cli.file("wrong.csv", csv("1.0.2.7.0")));
  expect(wrong.code).toBe(65);
  expect(wrong.stderr).toMatch(/Nothing was imported: .*wrong\.csv, line 3: /);
  const other = cli.file("other.csv", csv("1.0.2.7.0.255").replaceAll("ACME", "OTHER"));
  expect((await cli.hes("push-lists", "import", other)).stdout).toContain(
    "No meter type is of category OTHER yet",
  );
});
