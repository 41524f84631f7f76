import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { loadConfig } from "../../src/config.ts";
import { type Daemon, startDaemon } from "../../src/daemon.ts";
import { createLog } from "../../src/log.ts";
import { runScheduleNow } from "../../src/storage/schedule-firings.ts";
import { addSchedule, findSchedule } from "../../src/storage/schedules.ts";
import { eventually } from "../support/daemon.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { dataOf } from "../support/fake-association.ts";
import { type MeterServer, meterServer } from "../support/meter-server.ts";
import { PaperMeter } from "../support/paper-meter.ts";

/*
 * A meter on loopback with the seven event logs of IS 15959, whose rows are octets by hand: what a poll reads of them raises alerts as what is
 * pushed does, and what was told before raises none.
 */
const LOGS = [0, 1, 2, 3, 4, 5, 6];
/** 201 magnetic influence, 202 its end; 2026-07-24 10:15 and 10:20, 2026-07-25 06:00 in India. */
const BEGUN = "0202 090c 07ea0718ff0a0f0000feb600 12 00c9";
const ENDED = "0202 090c 07ea0718ff0a140000feb600 12 00ca";
const AGAIN = "0202 090c 07ea0719ff06000000feb600 12 00c9";

let folder: string;
let test: TestDatabase;
let meter: PaperMeter;
let server: MeterServer;
let daemon: Daemon;
let meterId: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "hes-events-"));
  test = await createTestDatabase();
  meter = new PaperMeter();
  for (const log of LOGS) {
    const name = `0.0.99.98.${log}.255`;
    const code = `0204 120001 0906 0000600b0${log}ff 0f02 120000`;
    meter
      .attribute(7, name, 2, dataOf("0100"))
      .attribute(7, name, 3, dataOf(`0102 0204 120008 0906 0000010000ff 0f02 120000 ${code}`))
      .attribute(7, name, 4, dataOf("06 00000000"))
      .attribute(7, name, 8, dataOf("06 00000064"));
  }
  server = await meterServer({
    ...{ framing: "wrapper", objects: () => meter },
    policy: (clientSap) =>
      clientSap === 16
        ? { mechanism: 0, secret: null, ciphered: false, conformance: 0x1e1d, security: null }
        : null,
  });
  const [made] = await test.database.query(
    `INSERT INTO public.meters (meter_number, meter_type, mode, framing, host, port) VALUES ('E1', 'D1', 'dial', 'wrapper', '127.0.0.1', $1)
     RETURNING id`,
    [server.port],
  );
  meterId = made!["id"];
  await test.database.query(
    "INSERT INTO meter_associations (meter_id, client_sap, mechanism) VALUES ($1, 16, 'none')",
    [meterId],
  );
  await test.database.query(
    "INSERT INTO alert_rules (name, source, severity, hold_seconds) VALUES ('serious', 'meter_events', 'critical', 60)",
  );
  const { config } = loadConfig(undefined, {
    ...{
      HES_DATA_DIR: folder,
      HES_DATABASE__URL: test.url,
      HES_LISTEN__TCP: "127.0.0.1:0",
      HES_HTTP__LISTEN: "",
    },
    HES_LOG__LEVEL: "warn",
  });
  daemon = await startDaemon(config, createLog(config.log));
  await addSchedule(test.database, {
    ...{
      name: "events",
      kind: "poll",
      cron: "0 0 1 1 *",
      timeZone: null,
      windowSeconds: null,
      spreadSeconds: 0,
    },
    ...{ missedRuns: "collapse", overdueAfterSeconds: null, content: { profile: "event" } },
    ...{ scope: { meterNumber: null, group: null, meterType: null }, clientSap: 16, priority: 0 },
    ...{ retryMax: 0, retryDelaySeconds: 60 },
  });
}, 120_000);
afterAll(async () => {
  await daemon?.stop();
  await server?.close();
  await test?.drop();
  rmSync(folder, { recursive: true, force: true });
});

async function readLog(...rows: string[]): Promise<void> {
  meter.attribute(7, "0.0.99.98.4.255", 2, dataOf(`01 0${rows.length} ${rows.join(" ")}`));
  const before = await attempts();
  const { id } = await findSchedule(test.database, "events");
  await runScheduleNow(test.database, id, Date.now(), null, 32);
  await eventually(async () => ((await attempts()) > before ? true : null), "another poll that ended");
}

async function attempts(): Promise<number> {
  const rows = await test.database.query(
    "SELECT verdict, error FROM push_history WHERE kind = 'poll' AND verdict <> 'running'",
  );
  expect(rows.filter(({ verdict }) => verdict !== "applied")).toEqual([]);
  return rows.length;
}

const alerts = () =>
  test.database.query("SELECT message, occurrences, first_at FROM alerts ORDER BY first_at, id");
const BEGUN_MS = Date.parse("2026-07-24T10:15:00+05:30");

it("events of a polled log raise alerts once, whatever is read again", async () => {
  await readLog(BEGUN, ENDED);
  const [first] = await eventually(async () => {
    const raised = await alerts();
    return raised.length > 0 ? raised : null;
  }, "an alert");
  expect(first).toEqual({
    message: "E1: magnetic influence: occurrence",
    occurrences: 1,
    first_at: BEGUN_MS,
  });
  // Somebody has dealt with it; the next poll brings it again, and one that is new.
  await test.database.query("UPDATE alerts SET state = 'closed', closed_at = now()");
  await readLog(BEGUN, ENDED, AGAIN);
  await eventually(async () => ((await alerts()).length > 1 ? true : null), "an alert of the new one");
  await readLog(BEGUN, ENDED, AGAIN);
  await daemon.endPolls();
  expect(await alerts()).toEqual([
    first,
    {
      message: "E1: magnetic influence: occurrence",
      occurrences: 1,
      first_at: Date.parse("2026-07-25T06:00:00+05:30"),
    },
  ]);
  const [stored] = await test.database.query(
    "SELECT count(*) AS n FROM public.meter_events WHERE origin = 'poll'",
  );
  expect(stored).toEqual({ n: 3 });
}, 60_000);
