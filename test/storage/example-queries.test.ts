import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { refreshDailyLoadProfile } from "../../src/storage/daily-load-profile.ts";
import type { Database, QueryRow } from "../../src/storage/database.ts";
import { exampleQueries } from "../../src/storage/example-queries.ts";
import { createEngineDatabase, ENGINES, type EngineDatabase, warnOfMissing } from "../support/engines.ts";
import { insertSampleData, SAMPLE_ZONE } from "../support/sample-data.ts";

warnOfMissing();
const queries = await exampleQueries();

describe.each(ENGINES)("example queries on $name", (engine) => {
  describe.skipIf(!engine.available)("answer", () => {
    let one: EngineDatabase;
    let database: Database;
    beforeAll(async () => {
      one = await createEngineDatabase(engine, { migration: { timeZone: SAMPLE_ZONE } });
      database = one.database;
      await insertSampleData(database);
      await database.query(
        `INSERT INTO daily_load_changes SELECT id, d::date FROM public.meters,
           generate_series(current_date - 4, current_date + 1, interval '1 day') d ON CONFLICT DO NOTHING`,
      );
      await refreshDailyLoadProfile(database, { timeZone: SAMPLE_ZONE });
    }, 120_000);
    afterAll(() => one.drop());

    const expected: Record<string, (rows: QueryRow[]) => void> = {
      "01-consumption-per-day.sql": (rows) => {
        expect(rows.length).toBeGreaterThanOrEqual(2);
        expect(rows.find((row) => row["consumption_from"] === "registers")).toMatchObject({
          consumption_kwh: "20.00",
        });
      },
      "02-load-profile-of-a-group.sql": (rows) => {
        expect(rows.length).toBeGreaterThan(80);
        expect(new Set(rows.map((row) => row["meters"]))).toEqual(new Set([1, 2]));
        expect(Math.max(...rows.map((row) => Number(row["load_kw"])))).toBeGreaterThan(1.5);
      },
      "03-voltage-outside-limits.sql": (rows) => {
        expect(rows).toMatchObject([{ meter_number: "SAMPLE-2", lowest_v: 201.5 }]);
      },
      "04-missing-data.sql": (rows) => {
        expect(rows.map((row) => [row["meter_number"], row["blocks_present"]])).toEqual([
          ["SAMPLE-3", 0],
          ["SAMPLE-2", 39],
        ]);
      },
      "05-top-events.sql": (rows) => {
        expect(rows).toMatchObject([
          { code: 102, events: 6, meters: 1 },
          { code: 101, events: 3 },
        ]);
      },
    };

    it.each(queries.map((query) => [query.title, query] as const))("%s", async (_, { file, sql }) => {
      const rows = await database.query(sql);
      expect(expected[file], `${file} has no expectation in this test`).toBeDefined();
      expected[file]!(rows);
    });
  });
});
