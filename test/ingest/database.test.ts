import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { loadCatalogue } from "../../src/catalogue/catalogue.ts";
import { loadConfig } from "../../src/config.ts";
import { openKeyRing, requireKek } from "../../src/configured-keys.ts";
import { readEpochMs } from "../../src/dlms/encoding/date-time.ts";
import { adopt } from "../../src/ingest/adopt.ts";
import type { PushVerdict } from "../../src/ingest/observer.ts";
import { replay } from "../../src/ingest/replay.ts";
import type { KeyRing } from "../../src/keys/key-ring.ts";
import { zoneRule } from "../../src/mapping/zone.ts";
import { openPipeline, type Pipeline } from "../../src/pipeline.ts";
import type { QueryRow } from "../../src/storage/database.ts";
import { importMeters } from "../../src/storage/meter-import.ts";
import { openQuarantine } from "../../src/storage/quarantine.ts";
import { ReplayStore } from "../../src/storage/replay-store.ts";
import { importScalers } from "../../src/storage/scaler-import.ts";
import { seedCatalogue } from "../../src/storage/seed-catalogue.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { type PushVector, pushVectors, silentObserver, TestConnection, vectorOf } from "./surroundings.ts";

/* Pushes of another implementation's meters through the whole line into PostgreSQL, and read back from its tables. */

const catalogue = loadCatalogue();
const vectors = pushVectors.filter(({ rows }) => rows?.length > 0);
const typeOf = (vector: PushVector) => `${vector.meter.category}-${vectors.indexOf(vector)}`;
const UNSCALED = ["f32", "f64", "dt", "bits", "bool"];
const PROTECTION = { none: "none", e: "encrypted", ae: "authenticated+encrypted" };
const QUIET = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

function meterLine(vector: PushVector): string {
  const { guek, gak, system_title } = vector.keys ?? { guek: "", gak: "", system_title: "" };
  const suite = vector.id.endsWith("-s1") ? 1 : 0;
  const { device_id } = vector.meter;
  const protection = PROTECTION[vector.security];
  return [
    device_id,
    typeOf(vector),
    system_title,
    protection,
    suite,
    guek,
    gak,
    vector.deviation_sign,
  ].join();
}

const METERS =
  "meter_number,meter_type,system_title,required_protection,security_suite,guek,gak,deviation_sign";

function scalerLines(vector: PushVector): string[] {
  const seen = new Map<string, string>();
  for (const { obis, attribute, type, scaler, unit } of vector.rows.flat()) {
    if (UNSCALED.includes(type)) continue;
    seen.set(`${obis}/${attribute}`, [typeOf(vector), obis, attribute, scaler, unit].join());
  }
  return [...seen.values()];
}

const verdicts: PushVerdict[] = [];
const observer = { ...silentObserver, pushDone: (verdict: PushVerdict) => void verdicts.push(verdict) };
let test: TestDatabase;
let pipeline: Pipeline;
let folder: string;
let ring: KeyRing;

const importAll = (some: readonly PushVector[]) =>
  importMeters(test.database, ring, [METERS, ...some.map(meterLine)].join("\n"));

async function scalersOf(some: readonly PushVector[]): Promise<void> {
  const lines = some.flatMap(scalerLines);
  await importScalers(test.database, ["meter_type,obis,attribute,scaler,unit", ...lines].join("\n"));
  await pipeline.reload();
}

/** Sends pushes, those of one framing on one connection, and waits until everything is settled. */
async function send(...pushes: PushVector[]): Promise<void> {
  for (const framing of ["wrapper", "hdlc"]) {
    const connection = new TestConnection();
    pipeline.ingest.attach(connection);
    for (const push of pushes) if (push.framing === framing) connection.receive(push.hex);
  }
  await pipeline.ingest.settled();
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "hes-ingest-"));
  test = await createTestDatabase();
  await seedCatalogue(test.database, catalogue);
  await test.database.query(
    "INSERT INTO alert_rules (name, source, log, code) VALUES ('last gasp', 'meter_events', 'status-word', 85)",
  );
  const { config } = loadConfig(undefined, { HES_DATA_DIR: folder });
  await requireKek(config, test.database);
  ring = openKeyRing(config);
  pipeline = await openPipeline(config, test.database, ring, observer, QUIET as never, () =>
    Date.UTC(2026, 10, 1),
  );
});

afterAll(async () => {
  await pipeline.close();
  await test.drop();
  rmSync(folder, { recursive: true, force: true });
});

describe("pushes of Indian meters", () => {
  const late = vectorOf("d1-instant-flat-e-wrapper-int");
  const unscaled = vectorOf("d1-daily-flat-e-wrapper-int");

  it("of a stranger wait until it is imported; of a meter type without scalers until those are", async () => {
    await importAll(vectors.filter((vector) => vector !== late));
    await scalersOf(vectors.filter((vector) => vector !== unscaled && vector !== late));
    await send(...vectors);
    const verdicts = await test.database.query(
      "SELECT verdict, count(*)::int AS n FROM push_history GROUP BY verdict ORDER BY verdict",
    );
    expect(verdicts).toEqual([
      { verdict: "applied", n: vectors.length - 2 },
      { verdict: "quarantined", n: 1 },
    ]);
    const quarantine = openQuarantine(test.database, { framesPerSourceMax: 64, framesMax: 1_000 });
    const waiting = await quarantine.list();
    expect(waiting.map(({ reason }) => reason).sort()).toEqual(["scaler_unknown", "unknown_system_title"]);

    await importAll([late]);
    await scalersOf([late]);
    const frames = await quarantine.take({ identifier: late.keys!.system_title });
    const report = await adopt(pipeline.ingest, frames);
    expect(report).toEqual({ stored: frames.map(({ id }) => id), left: [] });
    await quarantine.markAdopted(report.stored);

    await scalersOf([unscaled]);
    const store = new ReplayStore(
      test.database,
      pipeline.partitions,
      { quarantined: true },
      { timeZone: "Asia/Kolkata" },
    );
    const replayed = await replay(pipeline.ingest, store);
    expect(replayed).toMatchObject({ frames: 1, left: [] });
    expect(await quarantine.list()).toEqual([]);
  });

  it.each(vectors)("$id stands in the tables", async (vector) => {
    const [meter] = await test.database.query("SELECT id FROM meters WHERE meter_number = $1", [
      vector.meter.device_id,
    ]);
    for (const row of vector.rows) {
      const clock = row.find(({ obis }) => obis === "0.0.1.0.0.255" || obis === "0.0.0.1.2.255")!;
      const time = instantOf(clock, vector);
      const stored = new Map<string, QueryRow>();
      for (const table of TABLES) {
        const [found] = await test.database.query(
          `SELECT * FROM ${table} WHERE meter_id = $1 AND time = to_timestamp($2 / 1000.0)`,
          [meter!["id"], time],
        );
        if (found) stored.set(table, found);
      }
      for (const value of row) if (value !== clock) expectStored(value, stored, vector);
    }
  });

  it("sent again are retransmissions: no row changes", async () => {
    const count = "SELECT (SELECT count(*) FROM push_history) + (SELECT count(*) FROM raw_frames) AS n";
    const before = await test.database.query(count);
    const ciphered = vectors.filter(({ security }) => security !== "none");
    await send(...ciphered);
    expect(await test.database.query(count)).toEqual(before);
    expect(await test.database.query("SELECT * FROM reading_conflicts")).toEqual([]);
  });

  it("raised an alert where a rule says so, one a meter and event", async () => {
    const [events] = await test.database.query(
      "SELECT count(DISTINCT (meter_id, code))::int AS n FROM meter_events WHERE log = 'status-word' AND code = 85",
    );
    const [alerts] = await test.database.query(
      "SELECT count(*)::int AS n FROM alerts JOIN alert_rules r ON r.id = alert_rule_id WHERE r.name = 'last gasp'",
    );
    expect(alerts).toEqual(events);
    expect(alerts!["n"]).toBeGreaterThan(0);
  });
});

describe("ten thousand forged frames", () => {
  const victim = vectorOf("d1-daily-flat-ae-wrapper-f32-dev");
  const all = async () => {
    const [row] = await test.database.query(
      `SELECT (SELECT count(*) FROM push_history)::int AS pushes, (SELECT count(*) FROM raw_frames)::int AS frames,
              (SELECT count(*) FROM quarantine)::int AS kept, (SELECT max(counter) FROM invocation_counters)::text AS counter`,
    );
    return row;
  };

  it("store nothing, cost no write each and lock nobody out", async () => {
    const before = await all();
    const connection = new TestConnection("203.0.113.5");
    pipeline.ingest.attach(connection);
    const octets = Buffer.from(victim.hex, "hex");
    for (let i = 0; i < 10_000; i++) {
      const forged = Buffer.from(octets);
      // Another counter each, as high as can be; the tag is the old one.
      forged.writeUInt32BE(0xffff_0000 + i, 8 + 1 + 9 + 2 + 1 - (octets[18]! < 0x80 ? 1 : 0));
      connection.receive(forged);
    }
    await pipeline.ingest.settled();
    expect(connection.closed).toBe(false);
    const events = await test.database.query(
      "SELECT reason, sum(occurrences)::int AS n FROM security_events WHERE source = '203.0.113.5' GROUP BY reason",
    );
    expect(events).toEqual([{ reason: "bad_tag", n: 10_000 }]);
    expect(await all()).toEqual(before);
    // The meter itself is heard still: its own push is known, and taken for what it is.
    const seen = verdicts.length;
    connection.receive(octets);
    await pipeline.ingest.settled();
    expect(verdicts.slice(seen)).toEqual(["retransmission"]);
    expect(await all()).toEqual(before);
  });
});

const TABLES = [
  ...["energy_measurements", "power_readings", "voltage_measurements", "current_measurements"],
  ...["instant_profile", "block_load_profile", "billing_profile", "meter_readings"],
];

function instantOf({ raw }: { readonly raw: unknown }, { deviation_sign }: PushVector): number {
  return readEpochMs(Buffer.from(String(raw), "hex"), 0, zoneRule("Asia/Kolkata", deviation_sign))!;
}

/** The value in its measurement table, or in the profile's column or its `extra`; bits in meter_readings. */
function expectStored(
  value: PushVector["rows"][number][number],
  stored: ReadonlyMap<string, QueryRow>,
  vector: PushVector,
): void {
  const object = catalogue.byCode(value.obis, value.attribute);
  const found: unknown[] = [];
  for (const [table, row] of stored) {
    if (table === object?.table && object.column !== null) found.push(row[object.column]);
    const profileColumn = object?.profileColumn ?? "";
    if (table.endsWith("_profile") && profileColumn in row) found.push(row[profileColumn]);
    const name = value.attribute === 2 ? value.obis : `${value.obis}/${value.attribute}`;
    const extra = row["extra"] as Record<string, unknown> | null | undefined;
    if (extra && name in extra) found.push(extra[name]);
    if (table === "meter_readings" && value.type === "bits") found.push(row["value_text"]);
  }
  expect(found, `${value.obis} is stored nowhere`).not.toEqual([]);
  for (const cell of found) expect([value.obis, plain(cell)]).toEqual([value.obis, wanted(value, vector)]);
}

function wanted({ type, raw, scaler }: PushVector["rows"][number][number], vector: PushVector): unknown {
  if (type === "dt") return instantOf({ raw }, vector);
  if (typeof raw === "number") return Number(`${raw}e${scaler}`);
  if (type !== "bits") return raw;
  return [...String(raw)].map((digit) => Number.parseInt(digit, 16).toString(2).padStart(4, "0")).join("");
}

/** Times as milliseconds, numeric as number. */
function plain(cell: unknown): unknown {
  if (cell instanceof Date) return cell.getTime();
  if (typeof cell === "string" && /^\d{4}-\d\d-\d\dT/.test(cell)) return Date.parse(cell);
  if (typeof cell === "string" && /^-?\d+(\.\d+)?$/.test(cell) && cell.length < 40) return Number(cell);
  return cell;
}
