import { afterAll, beforeAll, expect, it } from "vitest";
import { deleteExpired } from "../../src/storage/retention.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";

let test: TestDatabase;
const NOW = Date.UTC(2026, 10, 23, 12);
beforeAll(async () => {
  test = await createTestDatabase();
});
afterAll(() => test.drop());

it("deletes commands to meters that are past their retention, with their steps, and no others", async () => {
  const { database } = test;
  await database.query("INSERT INTO public.meters (meter_number, meter_type) VALUES ('M1', 'D1')");
  await database.query(
    `INSERT INTO meter_commands (meter_id, kind, client_sap, state, requested, requested_at)
     SELECT m.id, 'clock', 48, state, '{}', to_timestamp($1 / 1000.0) - age * interval '1 day'
       FROM public.meters m, (VALUES (401, 'verified'), (399, 'verified'), (401, 'sent')) x(age, state)`,
    [NOW],
  );
  await database.query(
    "INSERT INTO meter_command_steps (command_id, position, class_id, logical_name, attribute) SELECT id, 0, 8, '0.0.1.0.0.255', 2 FROM meter_commands",
  );
  expect(await deleteExpired(database, NOW)).toEqual({ meter_commands: 2 });
  expect(await database.query("SELECT state FROM meter_commands")).toEqual([{ state: "verified" }]);
  expect(await database.query("SELECT count(*)::int AS n FROM meter_command_steps")).toEqual([{ n: 1 }]);
  // For ever.
  await database.query(
    "UPDATE storage_policies SET retention_days = NULL WHERE table_name = 'meter_commands'",
  );
  expect(await deleteExpired(database, NOW + 1_000 * 86_400_000)).toEqual({});
});
