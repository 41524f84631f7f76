import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { listCommands, storedCommandLog } from "../../src/storage/meter-commands.ts";
import { listPushSetups, loadPushConfiguration } from "../../src/storage/push-setups.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";

let test: TestDatabase;
let meterId: string;
let otherId: string;
beforeAll(async () => {
  test = await createTestDatabase();
  await test.database.query(
    "INSERT INTO meter_types (name, category) VALUES ('GIN-1', 'D1'), ('GIN-3', 'D3')",
  );
  const [one, other] = await test.database.query(
    `INSERT INTO public.meters (meter_number, meter_type, meter_group)
     VALUES ('GIN1000', 'GIN-1', 'north'), ('GIN3000', 'GIN-3', NULL) RETURNING id`,
  );
  meterId = one!["id"];
  otherId = other!["id"];
});
afterAll(() => test.drop());

const d1 = () => ({ id: meterId, meterType: "GIN-1", category: "D1", group: "north" });
const d3 = () => ({ id: otherId, meterType: "GIN-3", category: "D3", group: null });

describe("the log of commands", () => {
  it("has each state before the next thing is done", async () => {
    const log = storedCommandLog(test.database);
    const states = async () =>
      test.database.query(
        `SELECT c.state, c.sent_at IS NOT NULL AS sent, c.finished_at IS NOT NULL AS finished, s.position, s.state AS step, s.before, s.written, s.after
           FROM meter_commands c LEFT JOIN meter_command_steps s ON s.command_id = c.id ORDER BY s.position`,
      );
    const id = await log.begin({ meterId, kind: "clock", clientSap: 48, requested: { offset_seconds: -60 } });
    expect(await states()).toMatchObject([
      { state: "requested", sent: false, finished: false, position: null },
    ]);
    const head = { classId: 8, logicalName: "0.0.1.0.0.255", attribute: 2, method: null };
    expect(await log.sending(id, { ...head, before: { os: "00" }, written: { os: "01" } })).toBe(1);
    expect(await log.sending(id, { ...head, written: null })).toBe(2);
    expect(await states()).toMatchObject([
      {
        state: "sent",
        sent: true,
        position: 1,
        step: "sent",
        before: { os: "00" },
        written: { os: "01" },
        after: null,
      },
      { position: 2, step: "sent", before: null },
    ]);
    await log.endStep(id, 1, { state: "verified", after: { os: "01" }, reason: null });
    await log.endStep(id, 2, { state: "refused", reason: "read-write-denied" });
    await log.end(id, "refused", "read-write-denied");
    expect(await states()).toMatchObject([
      { state: "refused", finished: true, step: "verified", after: { os: "01" } },
      { step: "refused", after: null },
    ]);
    expect(await listCommands(test.database, { meterNumber: "GIN1000", limit: 10 })).toMatchObject([
      {
        ...{ id, meterNumber: "GIN1000", kind: "clock", clientSap: 48, state: "refused", steps: 2 },
        ...{ requested: { offset_seconds: -60 }, reason: "read-write-denied" },
      },
    ]);
    expect(await listCommands(test.database, { meterNumber: "GIN3000", limit: 10 })).toEqual([]);
  });
});

describe("the push configuration of a meter", () => {
  it("is nothing as long as nobody gave a destination", async () => {
    expect(await loadPushConfiguration(test.database, d1())).toEqual({ setups: [], schedules: [] });
    expect((await listPushSetups(test.database)).length).toBeGreaterThan(5);
  });

  it("is that of the setup meant most closely, with the catalogue's list where it has none", async () => {
    await test.database.query(
      `INSERT INTO push_setups (name, logical_name, category, meter_type, meter_id, destination, number_of_retries) VALUES
         ('daily of all', '0.6.25.9.0.255', NULL, NULL, NULL, 'all:4059', 1),
         ('daily of a type', '0.6.25.9.0.255', NULL, 'GIN-1', NULL, 'type:4059', 2),
         ('daily of another', '0.6.25.9.0.255', NULL, NULL, $1, 'other:4059', 3)`,
      [otherId],
    );
    const { setups } = await loadPushConfiguration(test.database, d1());
    expect(setups).toMatchObject([
      {
        name: "daily of a type",
        destination: "type:4059",
        numberOfRetries: 2,
        standard: "is15959",
        communicationWindows: null,
      },
    ]);
    expect(setups[0]!.lists).toHaveLength(1);
    // IS15959-FACTS 7: clock, Wh, VAh, and both exported, of a single-phase meter.
    expect(
      setups[0]!.lists[0]!.entries.map(({ classId, logicalName }) => `${classId}/${logicalName}`),
    ).toEqual([
      ...["8/0.0.1.0.0.255", "3/1.0.1.8.0.255", "3/1.0.9.8.0.255", "3/1.0.2.8.0.255", "3/1.0.10.8.0.255"],
    ]);
    expect((await loadPushConfiguration(test.database, d3())).setups).toMatchObject([
      { name: "daily of another" },
    ]);
  });

  it("has the setup's own list before all others", async () => {
    await test.database.query(
      `WITH list AS (
         INSERT INTO push_objects (name, push_setup_id, profile_kind)
         SELECT 'own', id, 'daily' FROM push_setups WHERE name = 'daily of a type' RETURNING id)
       INSERT INTO push_object_entries (push_object_id, position, class_id, logical_name, attribute, restriction)
       SELECT id, 1, 7, '1.0.99.2.0.255', 2, '\\x020216010000' FROM list`,
    );
    const [setup] = (await loadPushConfiguration(test.database, d1())).setups;
    expect(setup!.lists).toEqual([
      {
        name: "own",
        entries: [
          {
            classId: 7,
            logicalName: "1.0.99.2.0.255",
            attribute: 2,
            dataIndex: 0,
            restriction: Buffer.from("020216010000", "hex"),
          },
        ],
      },
    ]);
  });

  it("has the meter's schedules with the times meant most closely", async () => {
    await test.database.query(
      `WITH schedule AS (
         INSERT INTO push_schedules (name, kind, action_schedule) VALUES ('quarters', 'push', '0.0.15.0.4.255') RETURNING id)
       INSERT INTO schedule_entries (push_schedule_id, meter_group, meter_type, push_setup_id, execution_times)
       SELECT schedule.id, g, t, s.id, times FROM schedule, push_setups s,
         (VALUES (NULL, 'GIN-1', '["00:00"]'::jsonb), ('north', NULL, '["00:15", "*:45:00"]'::jsonb), ('south', NULL, '["01:00"]'::jsonb),
                 (NULL, NULL, '[]'::jsonb)) AS v(g, t, times)
        WHERE s.name = 'daily of a type'`,
    );
    expect((await loadPushConfiguration(test.database, d1())).schedules).toEqual([
      {
        name: "quarters",
        logicalName: "0.0.15.0.4.255",
        pushSetup: "0.6.25.9.0.255",
        executionTimes: ["00:15", "*:45:00"],
      },
    ]);
    expect((await loadPushConfiguration(test.database, d3())).schedules).toEqual([]);
  });
});
