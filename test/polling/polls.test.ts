import { randomUUID } from "node:crypto";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { ModelKnowledge } from "../../src/polling/model-knowledge.ts";
import { PolledRows } from "../../src/polling/polled-rows.ts";
import { Poller } from "../../src/polling/poller.ts";
import { settleGap, tendGaps } from "../../src/storage/capture-gaps.ts";
import { announceDaemon } from "../../src/storage/daemons.ts";
import { openModelProfiles } from "../../src/storage/model-profiles.ts";
import { newestCapture } from "../../src/storage/newest-capture.ts";
import { openCodeRegistry } from "../../src/storage/obis-codes.ts";
import { openPartitions, type Partitions } from "../../src/storage/partitions.ts";
import { openPollTasks } from "../../src/storage/poll-tasks.ts";
import {
  type WatchedConfiguration,
  watchMappingConfiguration,
} from "../../src/storage/push-configuration.ts";
import { openPushStore } from "../../src/storage/push-store.ts";
import { fireSchedule, runScheduleNow } from "../../src/storage/schedule-firings.ts";
import {
  createEngineDatabase,
  type EngineDatabase,
  POSTGRESQL,
  TIMESCALEDB,
  warnOfMissing,
} from "../support/engines.ts";
import { BLOCK_LOAD, FakeMeter, FakeRoads } from "../support/fake-meter.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const APPLIED = { verdict: "applied", values: 0, rows: 0, octets: 0, error: null };
const PERIOD = 30 * MINUTE;
/** 2026-07-24 05:30 in India: five blocks and a half after 03:00. */
const NOW = Date.parse("2026-07-24T00:00Z");

warnOfMissing([TIMESCALEDB]);
const ENGINES = [POSTGRESQL, TIMESCALEDB].filter(({ available }) => available);

describe.each(ENGINES)("on $name", (engine) => {
  let test: EngineDatabase;
  let partitions: Partitions;
  let configuration: WatchedConfiguration;
  let roads: FakeRoads;
  let schedule: number;
  let list: number;
  let meters: string[];
  const pollers: Poller[] = [];

  beforeAll(async () => {
    test = await createEngineDatabase(engine);
    const { database } = test;
    partitions = await openPartitions(database);
    configuration = await watchMappingConfiguration(database);
    const [read] = await database.query(
      "SELECT id FROM push_objects WHERE kind = 'poll' AND category = 'D1' AND profile_kind = 'block'",
    );
    list = read!["id"];
  }, 120_000);
  afterAll(async () => {
    await configuration.close();
    await test.drop();
  });
  beforeEach(async () => {
    const { database } = test;
    await database.query(
      `TRUNCATE push_history, block_load_profile, energy_measurements, power_readings, voltage_measurements, current_measurements,
       meter_readings, instant_profile, reading_conflicts`,
    );
    for (const table of ["push_schedules", "meter_models", "daemons", "public.meters"]) {
      await database.query(`DELETE FROM ${table}`);
    }
    const rows = await database.query(
      `INSERT INTO public.meters (meter_number, meter_type, manufacturer, created_at, last_seen_at)
     VALUES ('M1', 'D1', 'Acme', '2026-07-23', now()), ('M2', 'D1', 'Acme', '2026-07-23', now()) RETURNING id`,
    );
    meters = rows.map((row) => row["id"]);
    await associate();
    roads = new FakeRoads();
    for (const id of meters) roads.meters.set(id, new FakeMeter());
    const [made] = await database.query(
      `INSERT INTO push_schedules (name, kind, cron, spread_seconds) VALUES ('blocks', 'poll', '0 * * * *', 0) RETURNING id`,
    );
    schedule = made!["id"];
    await database.query(
      "INSERT INTO schedule_entries (push_schedule_id, push_object_id, retry_max) VALUES ($1, $2, 2)",
      [schedule, list],
    );
  });
  afterEach(async () => {
    for (const poller of pollers.splice(0)) await poller.stop();
  });

  interface Options {
    readonly daemonId?: string;
    readonly now?: () => number;
    readonly pollsMax?: number;
  }

  function poller({ daemonId = randomUUID(), now = () => NOW, pollsMax = 10 }: Options = {}): Poller {
    const { database } = test;
    const store = openPushStore(database, partitions);
    const rows = new PolledRows({
      configuration: configuration.current,
      codes: openCodeRegistry(database, configuration.reload),
      commit: async (meter, mapped) => {
        const unit = {
          meterId: meter.id,
          rows: mapped,
          history: null,
          frame: null,
          counter: null,
          quarantine: null,
          again: false,
        };
        return (await store.commit([unit]))[0]!;
      },
      zone: "Asia/Kolkata",
    });
    const made = new Poller({
      tasks: openPollTasks(database, partitions, daemonId),
      around: {
        roads,
        knowledge: new ModelKnowledge(openModelProfiles(database)),
        newest: (meterId, kind) => newestCapture(database, meterId, kind),
        rows,
        now,
        zone: "Asia/Kolkata",
        stepRowsMax: 48,
        firstReadMs: 3 * 24 * HOUR,
      },
      observer: {
        done: () => {},
        givenUp: () => {},
        failed: (error) => {
          throw error;
        },
      },
      pollsMax,
      clientSap: 32,
      onGap: (poll, _result, error) => settleGap(database, poll.gapId!, error, now()),
      random: () => 0.5,
    });
    pollers.push(made);
    return made;
  }

  const all = (sql: string) => test.database.query(sql);
  /** Whoever has no association gets that of the meter reader. */
  const associate = () =>
    all(
      "INSERT INTO meter_associations (meter_id, client_sap) SELECT id, 32 FROM public.meters ON CONFLICT DO NOTHING",
    );
  const fire = (dueAtMs = NOW) =>
    fireSchedule(
      test.database,
      { scheduleId: schedule, firings: [{ dueAtMs, missed: 0 }], firedUntilMs: dueAtMs },
      dueAtMs,
      32,
    );
  async function work(made: Poller): Promise<void> {
    made.wake();
    await made.idle();
  }
  const blocks = (from: number, until: number) =>
    Array.from({ length: Math.floor((until - from) / PERIOD) + 1 }, (_, i) => from + i * PERIOD);
  const history = () =>
    all(`SELECT m.meter_number AS meter, h.kind, h.verdict, h.attempt, h.row_count AS rows, h.error, h.due_at AS due
         FROM push_history h JOIN public.meters m ON m.id = h.meter_id ORDER BY h.started_at, h.id`);

  describe("a poll by schedule", () => {
    it("stores what meters captured, scaled as they say, and one row of history a meter", async () => {
      for (const meter of roads.meters.values()) meter.captures.push(...blocks(NOW - 3 * HOUR, NOW));
      await fire();
      await work(poller());
      expect(await all("SELECT count(*) AS n FROM block_load_profile")).toEqual([{ n: 14 }]);
      const [row] = await all(
        `SELECT b.origin, b.voltage_l1_v, b.block_active_import_wh, b.interval_seconds, b.clock_deviation_min, v.source, v.origin AS o
         FROM block_load_profile b JOIN voltage_measurements v USING (meter_id, time) ORDER BY b.time DESC LIMIT 1`,
      );
      // 00:00 UTC is a multiple of a day: block 0 of the 48 that the fake counts. 23,000 × 10⁻² V, 7 × 10¹ Wh.
      expect(row).toEqual({
        origin: "poll",
        voltage_l1_v: 230,
        block_active_import_wh: 70,
        interval_seconds: 1_800,
        clock_deviation_min: -330,
        source: "block",
        o: "poll",
      });
      const rows = (await history()).sort((a, b) => (a["meter"] < b["meter"] ? -1 : 1));
      expect(rows).toEqual(
        ["M1", "M2"].map((meter) =>
          expect.objectContaining({
            meter,
            kind: "poll",
            verdict: "applied",
            attempt: 1,
            error: null,
            due: NOW,
          }),
        ),
      );
      expect(await all("SELECT * FROM poll_tasks")).toEqual([]);
      expect(roads.opened).toEqual(["scheduled 32", "scheduled 32"]);
    });

    it("asks a model's first meter what its profile consists of, and no other", async () => {
      const one = poller({ pollsMax: 1 });
      await fire();
      await work(one);
      const asked = [...roads.meters.values()].map(({ reads }) =>
        reads.filter((read) => !read.includes("…")),
      );
      expect(asked.sort((a, b) => a.length - b.length)).toEqual([
        [],
        [
          `${BLOCK_LOAD}/3`,
          `${BLOCK_LOAD}/4`,
          `${BLOCK_LOAD}/8`,
          "1.0.94.91.4.255/3",
          "1.0.12.27.0.255/3",
          "1.0.1.29.0.255/3",
        ],
      ]);
      // Another daemon knows it from the database.
      await fire(NOW + HOUR);
      await work(poller({ now: () => NOW + HOUR }));
      const asks = [...roads.meters.values()].flatMap(({ reads }) =>
        reads.filter((read) => !read.includes("…")),
      );
      expect(asks).toHaveLength(6);
    });

    it("keeps what came before the link broke, and goes on behind it", async () => {
      const meter = roads.meters.get(meters[0]!)!;
      roads.meters.delete(meters[1]!);
      meter.captures.push(...blocks(NOW - 2.5 * 24 * HOUR, NOW));
      await fire();
      let now = NOW;
      const one = poller({ now: () => now });
      // Six reads for what the profile consists of, then a day each: the second day breaks.
      meter.breaksAt = 8;
      await work(one);
      const [stored] = await all("SELECT count(*) AS n, max(time) AS newest FROM block_load_profile");
      expect(stored!["n"]).toBeGreaterThan(10);
      expect(stored!["n"]).toBeLessThan(121);
      // The retry stands behind what is due for the first time, and waits.
      const [task] = await all("SELECT priority, attempt, start_at FROM poll_tasks");
      expect(task).toEqual({ priority: -1, attempt: 1, start_at: NOW + MINUTE });
      meter.reads.length = 0;
      now = NOW + 2 * MINUTE;
      await work(one);
      expect(meter.reads[0]!.startsWith(new Date(stored!["newest"] + 1_000).toISOString())).toBe(true);
      expect(await all("SELECT count(*) AS n FROM block_load_profile")).toEqual([{ n: 121 }]);
      expect((await history()).filter((row) => row["meter"] === "M1")).toEqual([
        expect.objectContaining({
          verdict: "connection-lost",
          attempt: 1,
          error: "the test breaks the link",
        }),
        expect.objectContaining({ verdict: "applied", attempt: 2 }),
      ]);
    });

    it("makes polls of one meter that are due together in one association", async () => {
      await test.database.query(
        `INSERT INTO schedule_entries (push_schedule_id, push_object_id)
       SELECT $1, id FROM push_objects WHERE kind = 'poll' AND category = 'D1' AND profile_kind = 'daily'`,
        [schedule],
      );
      await fire();
      await work(poller());
      // The fakes have no daily load profile.
      expect((await history()).map((row) => row["verdict"]).sort()).toEqual([
        "applied",
        "applied",
        "refused",
        "refused",
      ]);
      expect(roads.opened).toHaveLength(2);
    });

    it("gives up after the last retry, and at once where nothing would change", async () => {
      roads.meters.get(meters[0]!)!.failure = "unreachable";
      roads.meters.get(meters[1]!)!.failure = "key-missing";
      await fire();
      let now = NOW;
      const one = poller({ now: () => now });
      for (let i = 0; i < 5; i++) {
        await work(one);
        now += HOUR;
      }
      const attempts = (await history()).map((row) => `${row["meter"]} ${row["attempt"]} ${row["verdict"]}`);
      expect(attempts.sort()).toEqual([
        "M1 1 unreachable",
        "M1 2 unreachable",
        "M1 3 unreachable",
        "M2 1 key-missing",
      ]);
      expect(await all("SELECT * FROM poll_tasks")).toEqual([]);
    });

    it("reads the whole buffer where a meter refuses ranges, and remembers it for the model", async () => {
      for (const meter of roads.meters.values()) {
        meter.ranges = false;
        meter.captures.push(...blocks(NOW - HOUR, NOW));
      }
      const one = poller({ pollsMax: 1 });
      await fire();
      await work(one);
      expect(await all("SELECT count(*) AS n FROM block_load_profile")).toEqual([{ n: 6 }]);
      expect(await all("SELECT selection FROM model_profiles")).toEqual([{ selection: "whole" }]);
    });
  });

  describe("a meter that refuses ranges and gives rows by entry", () => {
    const placesRead = (meter: FakeMeter) => meter.reads.filter((read) => /^\d+…\d+$/.test(read));

    beforeEach(() => {
      roads.meters.delete(meters[1]!);
      Object.assign(roads.meters.get(meters[0]!)!, { ranges: false, entries: true });
    });

    it.each([
      ["the oldest first", false, ["1537…1584", "1584…1631", "1631…1678", "1678…1680"]],
      ["the newest first", true, ["97…144", "50…97", "3…50", "1…3"]],
    ])(
      "is read from about the first wanted row on, %s, and that is remembered",
      async (_what, newestFirst, places) => {
        const meter = roads.meters.get(meters[0]!)!;
        meter.newestFirst = newestFirst;
        // 35 days of blocks, of which three are read of a meter that nothing is stored of.
        meter.captures.push(...blocks(NOW - 35 * 24 * HOUR + PERIOD, NOW));
        await fire();
        await work(poller());
        expect(placesRead(meter)).toEqual(places);
        const [stored] = await all(
          "SELECT count(*) AS n, min(time) AS oldest, max(time) AS newest FROM block_load_profile",
        );
        expect(stored).toEqual({ n: 144, oldest: NOW - 71.5 * HOUR, newest: NOW });
        expect(await all("SELECT selection FROM model_profiles")).toEqual([{ selection: "entry" }]);
        // The next poll asks for no range any more, and for what is new.
        meter.reads.length = 0;
        meter.captures.push(NOW + PERIOD);
        await fire(NOW + HOUR);
        await work(poller({ now: () => NOW + HOUR }));
        expect(placesRead(meter)).toEqual([newestFirst ? "1…4" : "1678…1681"]);
        expect(await all("SELECT count(*) AS n FROM block_load_profile")).toEqual([{ n: 145 }]);
      },
    );

    it("is read further back where the period says too few, and not beyond the end of what is wanted", async () => {
      const meter = roads.meters.get(meters[0]!)!;
      // Every quarter of an hour, though it says half an hour.
      const quarters = Array.from({ length: 1_000 }, (_, i) => NOW - (999 - i) * (PERIOD / 2));
      meter.captures.push(...quarters);
      await fire();
      await work(poller());
      const [stored] = await all("SELECT min(time) AS oldest, max(time) AS newest FROM block_load_profile");
      expect(stored!["newest"]).toBe(NOW);
      expect(stored!["oldest"]).toBeLessThanOrEqual(NOW - 71 * HOUR);
      expect(placesRead(meter).some((places) => places.startsWith("1…"))).toBe(false);
    });

    it("is remembered to give its whole buffer only where it refuses that, too; nothing where the buffer is empty", async () => {
      const meter = roads.meters.get(meters[0]!)!;
      await fire();
      await work(poller());
      expect(await all("SELECT selection FROM model_profiles")).toEqual([{ selection: "range" }]);
      meter.entries = false;
      meter.captures.push(NOW);
      await fire(NOW + HOUR);
      await work(poller({ now: () => NOW + HOUR }));
      expect(await all("SELECT selection FROM model_profiles")).toEqual([{ selection: "whole" }]);
    });
  });

  describe("several daemons", () => {
    it("make every poll once", async () => {
      await test.database.query(
        "INSERT INTO public.meters (meter_number, meter_type) SELECT 'X' || n, 'D1' FROM generate_series(1, 60) n",
      );
      await associate();
      for (const row of await all("SELECT id FROM public.meters")) {
        if (!roads.meters.has(row["id"])) roads.meters.set(row["id"], new FakeMeter());
      }
      await fire();
      const both = [poller({ pollsMax: 7 }), poller({ pollsMax: 7 })];
      for (const one of both) one.wake();
      await Promise.all(both.map((one) => one.idle()));
      for (const one of both) await work(one);
      expect((await history()).map((row) => row["verdict"])).toEqual(Array(62).fill("applied"));
      expect([...roads.meters.values()].map(({ opened }) => opened)).toEqual(Array(62).fill(1));
    });

    it("leave a poll to the one that holds the meter's connection, while that one lives", async () => {
      const [mine, theirs] = [randomUUID(), randomUUID()];
      await announceDaemon(test.database, { id: mine, name: "mine" }, new Map(), NOW);
      await announceDaemon(test.database, { id: theirs, name: "theirs" }, new Map([[meters[0]!, NOW]]), NOW);
      await fire();
      await work(poller({ daemonId: mine }));
      expect((await history()).map((row) => row["meter"])).toEqual(["M2"]);
      await test.database.query("UPDATE daemons SET alive_until = now() - interval '1 s' WHERE id = $1", [
        theirs,
      ]);
      await work(poller({ daemonId: mine }));
      expect((await history()).map((row) => row["meter"])).toEqual(["M2", "M1"]);
    });

    it("never have a meter at the same time, whatever of it each claims in the same moment", async () => {
      await test.database.query(
        "INSERT INTO public.meters (meter_number, meter_type) SELECT 'Y' || n, 'D1' FROM generate_series(1, 30) n",
      );
      await associate();
      // Four lists of each meter, due at the same time.
      await test.database.query(
        `INSERT INTO schedule_entries (push_schedule_id, push_object_id)
         SELECT $1, id FROM push_objects WHERE kind = 'poll' AND category = 'D1' AND profile_kind <> 'block'`,
        [schedule],
      );
      await fire();
      const both = [0, 1].map(() => openPollTasks(test.database, partitions, randomUUID()));
      const options = { nowMs: NOW, pollsMax: 9, gapsMax: 1, clientSap: 32 };
      for (let made = 0; made < 20; made++) {
        const [mine, theirs] = await Promise.all(both.map((tasks) => tasks.claim(options)));
        const meetings = new Set(mine!.map(({ meter }) => meter.id));
        expect(theirs!.filter(({ meter }) => meetings.has(meter.id))).toEqual([]);
        for (const [index, claimed] of [mine!, theirs!].entries()) {
          for (const poll of claimed) await both[index]!.close(poll, APPLIED, null);
        }
      }
      const [left] = await all("SELECT count(*) AS n FROM poll_tasks");
      expect(left!["n"]).toBe(0);
    });

    it("take over from one that died, and its attempt says so", async () => {
      const tasks = openPollTasks(test.database, partitions, randomUUID());
      await fire();
      const options = { nowMs: NOW, pollsMax: 1, gapsMax: 1, clientSap: 32 };
      const [claimed] = await tasks.claim(options);
      const successor = poller();
      await work(successor);
      expect((await history()).map((row) => row["verdict"]).sort()).toEqual(["applied", "running"]);
      await test.database.query("UPDATE poll_tasks SET leased_until = clock_timestamp() - interval '1 s'");
      await work(successor);
      expect((await history()).map((row) => `${row["verdict"]} ${row["attempt"]}`).sort()).toEqual([
        "abandoned 1",
        "applied 1",
        "applied 2",
      ]);
      // The dead one comes back: what it knew no longer counts.
      await tasks.close(claimed!, { verdict: "applied", values: 0, rows: 0, octets: 0, error: null }, null);
      expect(await all("SELECT * FROM poll_tasks")).toEqual([]);
    });

    it("give back what they are making when they stop", async () => {
      roads.meters.delete(meters[1]!);
      let release = () => {};
      roads.meters.get(meters[0]!)!.hold = new Promise((resolve) => {
        release = resolve;
      });
      await fire();
      const one = poller();
      one.wake();
      while (roads.opened.length < 1) await new Promise((resolve) => setImmediate(resolve));
      const stopped = one.stop();
      release();
      await stopped;
      const [task] = await all("SELECT attempt, leased_by FROM poll_tasks");
      expect(task).toEqual({ attempt: 0, leased_by: null });
    });
  });

  describe("what is asked for now", () => {
    it("goes before what is due, and that before gaps", async () => {
      const { database } = test;
      await fire();
      await runScheduleNow(database, schedule, NOW, meters[1]!, 32);
      await poller({ pollsMax: 1 }).tick(NOW);
      await pollers[0]!.idle();
      const order = (await history()).map((row) => row["meter"]);
      expect(order[0]).toBe("M2");
      expect(roads.opened[0]).toBe("on-demand 32");
    });
  });

  describe("a meter without an association", () => {
    const LEFT_OUT = "DELETE FROM meter_associations WHERE meter_id = $1";

    it("is left out of runs, which say so, and is not tried again and again", async () => {
      await test.database.query(LEFT_OUT, [meters[1]]);
      expect(await fire()).toEqual([{ dueAtMs: NOW, polls: 1, leftOut: 1 }]);
      await work(poller());
      expect((await history()).map(({ meter }) => meter)).toEqual(["M1"]);
      expect(await all("SELECT polls, left_out FROM schedule_firings")).toEqual([{ polls: 1, left_out: 1 }]);
      expect(await runScheduleNow(test.database, schedule, NOW, meters[1]!, 32)).toEqual({
        polls: 0,
        leftOut: 1,
      });
    });

    it("nor is one that has another association than the entry names; the public one needs no configuration", async () => {
      const named = (sap: number) =>
        test.database.query("UPDATE schedule_entries SET client_sap = $1", [sap]);
      await named(48);
      expect(await fire()).toMatchObject([{ polls: 0, leftOut: 2 }]);
      await named(16);
      expect(await fire(NOW + HOUR)).toMatchObject([{ polls: 2, leftOut: 0 }]);
      await test.database.query("UPDATE schedule_entries SET client_sap = NULL");
      await test.database.query("DELETE FROM meter_associations");
      expect(await runScheduleNow(test.database, schedule, NOW, null, 16)).toEqual({ polls: 2, leftOut: 0 });
    });
  });

  describe("gaps", () => {
    const options = { nowMs: NOW, graceMs: 15 * MINUTE, memoryMs: 35 * 24 * HOUR, fill: true, clientSap: 32 };

    /** Blocks of a day are stored, except those of four hours and one; the meter has all but two of them. */
    async function withHoles(): Promise<FakeMeter> {
      const [own, other] = meters as [string, string];
      const missing = new Set([...blocks(NOW - 10 * HOUR, NOW - 6.5 * HOUR), NOW - 3 * HOUR]);
      const there = blocks(NOW - 20 * HOUR, NOW - PERIOD).filter((at) => !missing.has(at));
      for (const id of [own, other]) {
        await test.database.query(
          `INSERT INTO block_load_profile (time, meter_id, origin, received_at)
         SELECT to_timestamp(at / 1000.0), $1, 'push', now() FROM unnest($2::float8[]) AS x(at)`,
          [id, id === own ? there : blocks(NOW - 20 * HOUR, NOW - PERIOD)],
        );
      }
      const meter = roads.meters.get(own)!;
      meter.captures.push(...blocks(NOW - 20 * HOUR, NOW - PERIOD).filter((at) => at !== NOW - 7 * HOUR));
      return meter;
    }
    const gaps = () =>
      all(`SELECT first_missing AS first, last_missing AS last, captures, state, reason FROM capture_gaps
          WHERE profile = 'block' ORDER BY first_missing, id`);

    it("are found, filled by themselves at low priority, and given up where the meter has nothing", async () => {
      await withHoles();
      const report = await tendGaps(test.database, options);
      expect(report).toEqual({ found: 2, filled: 0, givenUp: 0, queued: 2, open: 2 });
      expect(await gaps()).toEqual([
        { first: NOW - 10 * HOUR, last: NOW - 6.5 * HOUR, captures: 8, state: "open", reason: null },
        { first: NOW - 3 * HOUR, last: NOW - 3 * HOUR, captures: 1, state: "open", reason: null },
      ]);
      const one = poller();
      await work(one);
      expect(await gaps()).toEqual([
        {
          first: NOW - 7 * HOUR,
          last: NOW - 7 * HOUR,
          captures: 1,
          state: "given-up",
          reason: "the meter has no captures of this time",
        },
        expect.objectContaining({ captures: 1, state: "filled" }),
      ]);
      expect(roads.opened.every((how) => how === "gap 32")).toBe(true);
      const [row] = await all(
        `SELECT count(*) FILTER (WHERE origin = 'poll') AS polled, count(*) AS n FROM block_load_profile`,
      );
      expect(row).toEqual({ polled: 8, n: 79 });
      // Nothing is looked for a second time.
      expect(await tendGaps(test.database, options)).toEqual({
        found: 0,
        filled: 0,
        givenUp: 0,
        queued: 0,
        open: 0,
      });
    });

    it("close when late pushes fill them, grow while nothing comes, and wait while the meter can't be reached", async () => {
      const meter = await withHoles();
      meter.failure = "unreachable";
      await tendGaps(test.database, options);
      await work(poller());
      expect((await gaps())[1]).toEqual(
        expect.objectContaining({ state: "open", reason: "the test says unreachable" }),
      );
      // Not before an hour has passed.
      expect(await tendGaps(test.database, { ...options, nowMs: NOW + MINUTE })).toEqual(
        expect.objectContaining({ queued: 0, open: 2 }),
      );
      await test.database.query(
        "INSERT INTO block_load_profile (time, meter_id, origin, received_at) VALUES (to_timestamp($1 / 1000.0), $2, 'push', now())",
        [NOW - 3 * HOUR, meters[0]],
      );
      const later = await tendGaps(test.database, { ...options, nowMs: NOW + 2 * HOUR, fill: false });
      // Both meters now owe what follows the newest block.
      expect(later).toEqual(expect.objectContaining({ filled: 1, found: 2, open: 3 }));
      const evenLater = await tendGaps(test.database, { ...options, nowMs: NOW + 4 * HOUR, fill: false });
      expect(evenLater).toEqual(expect.objectContaining({ open: 3 }));
      expect((await gaps()).slice(-1)[0]).toEqual(expect.objectContaining({ captures: 8, state: "open" }));
      // The meter keeps 35 days.
      const end = await tendGaps(test.database, { ...options, nowMs: NOW + 40 * 24 * HOUR, fill: false });
      expect(end!.givenUp).toBeGreaterThan(0);
    });

    it("show in what days are complete, and how much of the fleet's was here in time", async () => {
      await withHoles();
      const rows = await all(
        `SELECT m.meter_number AS meter, c.day::text, c.profile, c.expected, c.stored, c.missing
         FROM capture_completeness('2026-07-23', '2026-07-23') c JOIN public.meters m ON m.id = c.meter_id
        ORDER BY c.profile, m.meter_number`,
      );
      // 20 hours before 05:30 on the 24th in India is 09:30 on the 23rd: 30 blocks until 24:00, of which M1 lacks 8.
      expect(rows).toEqual([
        { meter: "M1", day: "2026-07-23", profile: "block", expected: 48, stored: 22, missing: 26 },
        { meter: "M2", day: "2026-07-23", profile: "block", expected: 48, stored: 30, missing: 18 },
        { meter: "M1", day: "2026-07-23", profile: "daily", expected: 1, stored: 0, missing: 1 },
        { meter: "M2", day: "2026-07-23", profile: "daily", expected: 1, stored: 0, missing: 1 },
      ]);
      // Until 17:00 there are 16 blocks of either, until 23:00 another 4 and 12.
      await test.database.query(
        `UPDATE block_load_profile SET received_at = '2026-07-24T00:00+05:30'::timestamptz + CASE
          WHEN time <= '2026-07-23T17:00+05:30' THEN interval '8 hours' WHEN time <= '2026-07-23T23:00+05:30' THEN interval '12 hours'
          ELSE interval '25 hours' END`,
      );
      const fleet = await all(
        `SELECT hours, expected, received, target, met FROM fleet_completeness('2026-07-23', '2026-07-23') WHERE profile = 'block' ORDER BY hours`,
      );
      expect(
        fleet.map((row) => [row["hours"], row["expected"], row["received"], Number(row["target"])]),
      ).toEqual([
        [8, 96, 32, 95],
        [12, 96, 48, 98],
        [24, 96, 48, 99.5],
      ]);
    });
  });
});
