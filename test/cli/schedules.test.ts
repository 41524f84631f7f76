import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { type CommandLine, commandLine } from "../support/hes.ts";

let test: TestDatabase;
let cli: CommandLine;

beforeAll(async () => {
  test = await createTestDatabase();
  cli = commandLine(test.url);
  await test.database.query(
    `INSERT INTO public.meters (meter_number, meter_type, meter_group) VALUES ('M1', 'D1', 'north'), ('M2', 'D2', 'north'), ('M3', 'D1', NULL)`,
  );
  await test.database.query(
    "INSERT INTO meter_associations (meter_id, client_sap) SELECT id, 32 FROM public.meters WHERE meter_number <> 'M3'",
  );
});
afterAll(async () => {
  cli.remove();
  await test.drop();
});

const add = (...argv: string[]) => cli.hes("schedules", "add", ...argv);

describe("hes schedules", () => {
  it("adds one that reads a profile, for a group, and queues it now for the lists of their categories", async () => {
    const added = await add(
      "blocks",
      "--cron",
      "15 */4 * * *",
      "--reads",
      "block",
      "--group",
      "north",
      "--spread",
      "10m",
    );
    expect(added.code).toBe(0);
    expect(added.stdout).toMatch(/^blocks is due next at \d{4}-\d\d-\d\dT\d\d:45:00Z\.$/m);
    const run = await cli.hes("schedules", "run", "blocks", "now");
    expect(run.stdout).toContain("2 polls are queued");
    const tasks = await test.database.query(
      `SELECT m.meter_number AS meter, o.name AS list, t.purpose, t.priority FROM poll_tasks t
         JOIN public.meters m ON m.id = t.meter_id JOIN push_objects o ON o.id = t.push_object_id ORDER BY 1`,
    );
    expect(tasks).toEqual([
      { meter: "M1", list: "D1 read block load profile", purpose: "on-demand", priority: 1_000 },
      { meter: "M2", list: "D2 read block load profile", purpose: "on-demand", priority: 1_000 },
    ]);
    expect((await cli.hes("schedules", "run", "blocks", "--meter", "M3")).code).toBe(65);
    await test.database.query("DELETE FROM meter_associations WHERE client_sap = 32");
    expect(await cli.hes("schedules", "run", "blocks")).toMatchObject({
      code: 65,
      stderr:
        "hes: Nothing is queued, 2 meters are left out for want of an association (`hes keys import`).\n",
    });
  });

  it("adds one that reads objects, whose classes the catalogue knows", async () => {
    expect(
      (await add("registers", "--cron", "@daily", "--object", "1.0.1.8.0.255", "8:0-0:1.0.0*255/2")).code,
    ).toBe(0);
    const entries = await test.database.query(
      `SELECT class_id, logical_name, attribute FROM push_object_entries e JOIN push_objects o ON o.id = e.push_object_id
        WHERE o.name = 'schedule registers' AND o.kind = 'poll' ORDER BY position`,
    );
    expect(entries).toEqual([
      { class_id: 3, logical_name: "1.0.1.8.0.255", attribute: 2 },
      { class_id: 8, logical_name: "0.0.1.0.0.255", attribute: 2 },
    ]);
  });

  it("says that a group has no meters yet", async () => {
    const { code, stdout } = await add("later", "--cron", "@daily", "--reads", "block", "--group", "west");
    expect(stdout).toContain('No meter is of group "west" yet');
    expect(code).toBe(0);
    await test.database.query("UPDATE public.meters SET meter_group = 'west' WHERE meter_number = 'M1'");
    const again = await add("again", "--cron", "@daily", "--reads", "block", "--group", "west");
    expect(again.stdout).not.toContain("west");
    for (const name of ["later", "again"]) await cli.hes("schedules", "remove", name);
  });

  it("shows, disables, enables and removes", async () => {
    const shown = await cli.hes("schedules", "show", "blocks");
    expect(shown.stdout).toContain("15 */4 * * * in Asia/Kolkata");
    expect(shown.stdout).toContain("polls begin within 600 s");
    await cli.hes("schedules", "disable", "blocks");
    expect((await cli.json("schedules", "show", "blocks")).next).toEqual([]);
    await cli.hes("schedules", "enable", "blocks");
    expect((await cli.json("schedules", "show", "blocks")).next).toHaveLength(5);
    expect((await cli.json("schedules", "list")).map(({ name }: { name: string }) => name)).toEqual([
      "blocks",
      "registers",
    ]);
    expect((await cli.hes("schedules", "remove", "registers")).code).toBe(0);
    expect((await cli.hes("schedules", "history")).stdout).toContain("Nothing has been polled.");
  });

  it.each([
    [["x", "--cron", "61 * * * *", "--reads", "block"], 65, "is no cron expression"],
    [["x", "--cron", "0 0 * * *", "--zone", "Mars/Base", "--reads", "block"], 65, 'no time zone "Mars/Base"'],
    [["x", "--cron", "0 0 * * *"], 64, "one of --reads, --list, --object and --push"],
    [["x", "--cron", "0 0 * * *", "--list", "nothing"], 65, 'no list called "nothing"'],
    [["x", "--cron", "0 0 * * *", "--reads", "block", "--meter", "M9"], 65, "There is no meter M9."],
    [["x", "--cron", "0 0 * * *", "--object", "9.9.9.9.9.9"], 65, "The class of 9.9.9.9.9.9 is not known"],
    [
      ["x", "--cron", "0 0 * * *", "--object", "3:1.0.1.8.0.255/128"],
      64,
      "is no object: write its OBIS code",
    ],
    [["x", "--cron", "0 0 * * *", "--object", "3/1.0.1.8.0.255/2"], 64, "is no object: write its OBIS code"],
    [["blocks", "--cron", "0 0 * * *", "--reads", "block"], 65, 'a schedule "blocks" already'],
  ])("refuses %j", async (argv, code, text) => {
    const answer = await add(...argv);
    expect(answer.stderr).toContain(text);
    expect(answer.code).toBe(code);
    expect(answer.stderr).not.toMatch(/\n\s+at /);
    expect(await test.database.query("SELECT name FROM push_schedules")).toEqual([{ name: "blocks" }]);
  });
});

describe("hes gaps", () => {
  it("lists what is missing and opens again what was given up", async () => {
    await test.database.query(
      `INSERT INTO capture_gaps (meter_id, profile, first_missing, last_missing, captures, state, reason)
       SELECT id, 'block', '2026-07-24T00:30Z', '2026-07-24T02:00Z', 4, 'given-up', 'because' FROM public.meters WHERE meter_number = 'M1'`,
    );
    expect((await cli.hes("gaps", "list")).stdout).toContain("Nothing is missing.");
    expect((await cli.hes("gaps", "list", "--state", "given-up")).stdout).toMatch(
      /M1 +block +2026-07-24T00:30:00Z +2026-07-24T02:00:00Z +4 +given-up +0 +because/,
    );
    expect((await cli.hes("gaps", "retry", "--meter", "M1")).stdout).toContain("1 gaps");
    expect(await cli.json("gaps", "list")).toHaveLength(1);
    expect(await cli.json("gaps", "list", "--meter", "M2")).toEqual([]);
    const NOBODY = { code: 65, stderr: 'hes: There is no meter "M9": see `hes meters list`.\n' };
    for (const command of [
      ["gaps", "list"],
      ["gaps", "retry"],
      ["schedules", "history"],
    ]) {
      expect(await cli.hes(...command, "--meter", "M9")).toMatchObject(NOBODY);
    }
  });

  it("says how complete days are, which meters are silent and which pushes are overdue", async () => {
    const { database } = test;
    await database.query(
      "UPDATE public.meters SET last_seen_at = now() - interval '25 hours' WHERE meter_number = 'M2'",
    );
    expect(
      (await cli.json("gaps", "silent")).map((meter: { meterNumber: string }) => meter.meterNumber),
    ).toEqual(["M2"]);
    expect(await cli.json("gaps", "completeness", "--days", "2")).toEqual([]);
    await add("midnight pushes", "--cron", "0 0 * * *", "--push", "--overdue-after", "15m", "--type", "D1");
    await database.query(
      `INSERT INTO schedule_firings (push_schedule_id, due_at, fired_at)
       SELECT id, now() - interval '1 hour', now() - interval '1 hour' FROM push_schedules WHERE name = 'midnight pushes'`,
    );
    await database.query(
      `INSERT INTO push_history (id, started_at, meter_id, kind, verdict, attempt)
       SELECT 1, now() - interval '50 minutes', id, 'push', 'applied', 1 FROM public.meters WHERE meter_number = 'M1'`,
    );
    const overdue = await cli.json("gaps", "overdue");
    expect(overdue.map((push: { meterNumber: string }) => push.meterNumber)).toEqual(["M3"]);
    expect((await cli.hes("gaps", "overdue")).stdout).toContain("midnight pushes");
  });
});
