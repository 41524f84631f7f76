import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Metrics } from "../../src/http/metrics.ts";
import { measureTimescale } from "../../src/storage/measure-timescale.ts";
import { skippedUnless } from "../support/database.ts";
import {
  createEngineDatabase,
  ENGINES,
  type EngineDatabase,
  POSTGRESQL,
  TIMESCALEDB,
  warnOfMissing,
} from "../support/engines.ts";

warnOfMissing();
const withExtension = skippedUnless(["partitions"], "what metrics say without the extension");

describe.each(ENGINES)("what metrics say of $name", (engine) => {
  describe.skipIf(!engine.available)("is", () => {
    let one: EngineDatabase;
    beforeAll(async () => {
      one = await createEngineDatabase(engine);
    }, 120_000);
    afterAll(() => one.drop());

    const series = async () => {
      const metrics = new Metrics();
      metrics.timescale.set(await measureTimescale(one.database));
      const text = await metrics.registry.metrics();
      return text.split("\n").filter((line) => line.startsWith("hes_timescale_"));
    };

    it.runIf(engine === POSTGRESQL && !withExtension)("nothing without the extension", async () => {
      expect(await series()).toEqual([]);
    });

    it.runIf(engine === TIMESCALEDB)(
      "chunks, what the columnstore saves, policies and failures",
      async () => {
        const { database } = one;
        await database.query("INSERT INTO public.meters (meter_number, meter_type) VALUES ('M1', 'D1')");
        await database.query(
          `INSERT INTO power_readings (time, meter_id, source, origin, received_at, active_import_w)
         SELECT t, m.id, 'instant', 'push', t, 230 FROM public.meters m,
           generate_series(timestamptz '2026-01-05 00:00Z', '2026-01-20 00:00Z', interval '1 minute') t`,
        );
        const [chunk] = await database.query(
          "SELECT c::text AS name FROM show_chunks('power_readings') c LIMIT 1",
        );
        await database.query(`SELECT compress_chunk('${chunk!["name"]}')`);
        const told = await series();
        const value = (name: string) =>
          Number(
            told
              .find((line) => line.startsWith(`${name} `))
              ?.split(" ")
              .at(-1),
          );
        const [chunks] = await database.query("SELECT count(*)::int AS n FROM show_chunks('power_readings')");
        expect(value('hes_timescale_chunks{table="power_readings",form="columnstore"}')).toBe(1);
        expect(value('hes_timescale_chunks{table="power_readings",form="rows"}')).toBe(chunks!["n"] - 1);
        const before = value('hes_timescale_columnstore_bytes{table="power_readings",form="rows"}');
        const after = value('hes_timescale_columnstore_bytes{table="power_readings",form="columnstore"}');
        // 1,440 rows with their key take more than 100 octets each.
        expect(before).toBeGreaterThan(144_000);
        expect(after).toBeGreaterThan(0);
        expect(after).toBeLessThan(before);
        expect(value('hes_timescale_policies{policy="columnstore"}')).toBe(7);
        expect(value('hes_timescale_policies{policy="aggregate"}')).toBe(2);
        expect(value('hes_timescale_failed_jobs{policy="columnstore"}')).toBeGreaterThanOrEqual(0);
      },
    );

    it.runIf(engine.timescale && engine !== TIMESCALEDB)("chunks under the Apache licence", async () => {
      const told = await series();
      expect(told).toContain('hes_timescale_chunks{table="power_readings",form="rows"} 0');
      expect(told.filter((line) => line.includes("policy="))).toEqual([]);
    });
  });
});
