import { afterAll, beforeAll, expect, it } from "vitest";
import { openAlertStore } from "../../src/storage/alerts.ts";
import { listSystemEvents, recordSystemEvents } from "../../src/storage/event-logs.ts";
import { openQuarantine } from "../../src/storage/quarantine.ts";
import { openSecurityEvents } from "../../src/storage/security-events.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";

let test: TestDatabase;
const T = Date.UTC(2026, 10, 23, 12);
beforeAll(async () => {
  test = await createTestDatabase();
});
afterAll(() => test.drop());

const frame = (source: string, index: number) => ({
  source,
  systemTitle: source,
  peer: "10.0.0.1",
  framing: "wrapper",
  reason: "unknown_system_title" as const,
  receivedAtMs: T + index,
  clientSap: 48,
  serverSap: 1,
  apdu: Buffer.of(index),
});

it("keeps a bounded ring for each stranger and for all of them, the oldest going first", async () => {
  const quarantine = openQuarantine(test.database, { framesPerSourceMax: 3, framesMax: 5 });
  await quarantine.keep([1, 2, 3, 4].map((index) => frame("a", index)));
  await quarantine.keep([5].map((index) => frame("a", index)));
  const octets = async (identifier: string) =>
    (await quarantine.take({ identifier })).map(({ apdu }) => apdu[0]);
  expect(await octets("a")).toEqual([3, 4, 5]);
  await quarantine.keep([6, 7, 8].map((index) => frame("b", index)));
  expect([await octets("a"), await octets("b")]).toEqual([
    [4, 5],
    [6, 7, 8],
  ]);
  expect(await quarantine.list()).toMatchObject([
    { identifier: "b", frames: 3, meterId: null, firstAtMs: T + 6, lastAtMs: T + 8 },
    { identifier: "a", frames: 2 },
  ]);
  const kept = await quarantine.take({ identifier: "b" }, 2);
  expect(kept[0]).toMatchObject({ clientSap: 48, serverSap: 1, framing: "wrapper", systemTitle: "b" });
  await quarantine.markAdopted(kept.map(({ id }) => id));
  expect(await octets("b")).toEqual([8]);
});

it("adds up what is refused from one source for one reason within a minute", async () => {
  const store = openSecurityEvents(test.database);
  const event = {
    source: "10.0.0.1",
    reason: "bad_tag" as const,
    minuteMs: T,
    meterId: null,
    count: 3,
    text: "x",
  };
  await Promise.all([
    store.record([event, { ...event, reason: "replay" }]),
    store.record([{ ...event, reason: "replay" }, event]),
    store.record([{ ...event, minuteMs: T + 60_000, count: 1 }, event, event]),
  ]);
  const rows = await test.database.query(
    "SELECT minute, reason, occurrences FROM security_events ORDER BY minute, reason",
  );
  expect(rows).toEqual([
    { minute: T, reason: "bad_tag", occurrences: 12 },
    { minute: T, reason: "replay", occurrences: 6 },
    { minute: T + 60_000, reason: "bad_tag", occurrences: 1 },
  ]);
});

it("raises an alert once within its rule's hold time, also from two daemons, and notifies of it", async () => {
  const { database } = test;
  await database.query(
    "INSERT INTO alert_rules (name, source, log, severity, hold_seconds) VALUES ('test', 'meter_events', 'voltage', 'critical', 600)",
  );
  const store = openAlertStore(database);
  const rule = (await store.rules()).find(({ name }) => name === "test")!;
  expect(rule).toMatchObject({
    over: "meter_events",
    log: "voltage",
    severity: "critical",
    holdSeconds: 600,
  });
  const heard: string[] = [];
  const listener = await database.listen(
    "hes_alerts",
    (payload) => heard.push(payload),
    () => undefined,
  );
  const alert = (raisedAtMs: number) => ({
    ...{ ruleId: rule.id, key: "test/1", meterId: null, severity: "critical", text: "phase lost" },
    ...{ raisedAtMs, count: 2 },
  });
  await Promise.all([store.raise([alert(T)]), store.raise([alert(T + 1_000)])]);
  expect(await store.raise([alert(T + 601_000)])).toEqual({ raised: 1, counted: 0 });
  const rows = await database.query("SELECT occurrences, state FROM alerts ORDER BY id");
  expect(rows).toEqual([
    { occurrences: 4, state: "open" },
    { occurrences: 2, state: "open" },
  ]);
  while (heard.length < 2) await new Promise(setImmediate);
  expect(JSON.parse(heard[0]!)).toMatchObject({
    severity: "critical",
    message: "phase lost",
    meter_id: null,
  });
  await listener.close();
});

it("keeps the system's own events", async () => {
  await recordSystemEvents(test.database, [
    { timeMs: T, level: "info", component: "storage", message: "one" },
    { timeMs: T + 1, level: "warn", component: "ingest", message: "two", data: { count: 2 } },
  ]);
  expect(await listSystemEvents(test.database, 1)).toMatchObject([
    { time: T + 1, level: "warn", component: "ingest", message: "two", data: { count: 2 } },
  ]);
});
