import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type DaemonProcess, eventually, sendOnce, startDaemonProcess } from "../support/daemon.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { type CommandLine, commandLine } from "../support/hes.ts";
import { type Category, EVENT_LOGS, SHEET, type SheetColumn, scalerLines } from "../support/is15959-sheet.ts";
import * as wire from "../support/wire.ts";

/*
 * Every push setup of IS 15959, for D1, D2 and D3, flat and nested, encrypted (20) and authenticated and encrypted (30), over TCP to
 * the daemon and read back from the tables. Octets are laid out by hand from the fact sheet; nothing of src/ made them.
 */

const CATEGORIES: readonly Category[] = ["D1", "D2", "D3"];
const CONTROLS = [0x20, 0x30] as const;
const PROFILES = { instant: "0.0.25.9.0.255", block: "0.5.25.9.0.255", daily: "0.6.25.9.0.255" } as const;
const BILLING_SETUPS = ["0.132.25.9.0.255", "0.7.25.9.0.255", "0.103.25.9.0.255"];
const CURRENT_BILLING_SETUPS = ["0.106.25.9.0.255", "0.0.25.9.129.255"];
const TABLE: Record<string, string | null> = {
  instant: "instant_profile",
  block: "block_load_profile",
  daily: null,
  billing: "billing_profile",
};

interface Case {
  readonly category: Category;
  readonly control: 0x20 | 0x30;
  readonly layout: "flat" | "nested";
  readonly kind: "instant" | "block" | "daily" | "billing";
  readonly setup: string;
  /** Minute of the capture, of its own for each case of one meter. */
  readonly minute: number;
}

const cases: Case[] = [];
for (const category of CATEGORIES) {
  for (const control of CONTROLS) {
    let minute = 1;
    const add = (kind: Case["kind"], setup: string) => {
      for (const layout of ["flat", "nested"] as const) {
        cases.push({ category, control, layout, kind, setup, minute: minute++ });
      }
    };
    for (const [kind, setup] of Object.entries(PROFILES)) add(kind as Case["kind"], setup);
    for (const setup of [...BILLING_SETUPS, ...CURRENT_BILLING_SETUPS]) add("billing", setup);
  }
}

/** One meter for each category and control, by number. */
const METERS = CATEGORIES.flatMap((category, c) =>
  CONTROLS.map((control) => {
    const number = `${category}X${control.toString(16)}0001`;
    const systemTitle = Buffer.from(`4845530000000${c + 1}${control.toString(16)}`, "hex");
    return { number, category, control, systemTitle };
  }),
);
const GUEK = Buffer.from("000102030405060708090a0b0c0d0e0f", "hex");
const GAK = Buffer.from("d0d1d2d3d4d5d6d7d8d9dadbdcdddedf", "hex");
const meterOf = (of: { category: Category; control: number }) =>
  METERS.find(({ category, control }) => category === of.category && control === of.control)!;

const DAY = { year: 2026, month: 10, day: 14, hour: 9 };
/** 14 October 2026, 09:MM in India, as milliseconds UTC. */
const utc = (minute: number) => Date.UTC(DAY.year, DAY.month - 1, DAY.day, DAY.hour, minute) - 330 * 60_000;
const demandTime = Date.UTC(DAY.year, DAY.month - 1, 3, 19, 30) - 330 * 60_000;

/** A raw value that differs from column to column and from case to case. */
function rawOf(column: SheetColumn, index: number, minute: number): number {
  const value = 100 + index * 7 + minute * 3;
  if (column.wire === "u8") return value & 0x7f;
  return column.wire === "i16" || column.wire === "i32" ? -value : value;
}

const NUMBERS = { u8: wire.u8, u16: wire.u16, i16: wire.i16, u32: wire.u32, i32: wire.i32 };

function element(column: SheetColumn, index: number, minute: number): string {
  const raw = rawOf(column, index, minute);
  switch (column.wire) {
    case "time":
      return column.column === "time"
        ? wire.clock(DAY.year, DAY.month, DAY.day, DAY.hour, minute)
        : wire.clock(DAY.year, DAY.month, 3, 19, 30);
    case "bool":
      return wire.bool(true);
    default:
      return NUMBERS[column.wire](raw);
  }
}

let counter = 100;
function frame(of: { category: Category; control: 0x20 | 0x30 }, setup: string, rest: string[]): Buffer {
  const meter = meterOf(of);
  const body = wire.structure(wire.text(meter.number), wire.obis(setup), ...rest);
  const keys = { systemTitle: meter.systemTitle, guek: GUEK, gak: GAK };
  return wire.wrapped(wire.ciphered(wire.notification(1, body), of.control, counter++, keys));
}

function profileFrame(of: Case): Buffer {
  const row = SHEET[of.category][of.kind].map((column, index) => element(column, index, of.minute));
  const now = wire.clock(DAY.year, DAY.month, DAY.day, DAY.hour + 1, of.minute);
  return frame(of, of.setup, of.layout === "flat" ? row : [now, wire.array(wire.structure(...row))]);
}

const CURRENT = "1.0.94.91.14";
function eventFrame(
  of: { category: Category; control: 0x20 | 0x30 },
  log: (typeof EVENT_LOGS)[number],
): Buffer {
  const time = wire.clock(DAY.year, DAY.month, DAY.day, 12, log.index);
  const withValues = log.log === "voltage" || log.log === "current" || log.log === "other";
  const three = [wire.u16(31), wire.u16(32), wire.u16(33)];
  const factors = [wire.i16(-910), wire.i16(-920), wire.i16(-930)];
  const values =
    of.category === "D1"
      ? [wire.u16(31), wire.u16(2391), wire.i16(-910), wire.u32(4_711), wire.u32(9)]
      : [...three, ...three, ...factors, wire.u32(4_711), wire.u32(9)];
  return frame(of, `0.${120 + log.index}.25.9.0.255`, [
    time,
    wire.u16(log.code),
    ...(withValues ? values : []),
  ]);
}

function alertFrame(of: { category: Category; control: 0x20 | 0x30 }): Buffer {
  // Bits 3 (10 in octet 0), 83 (10 in octet 10) and 85 (04 in octet 10) of 128.
  const word = `10${"00".repeat(9)}14${"00".repeat(5)}`;
  return frame(of, "0.4.25.9.0.255", [wire.clock(DAY.year, DAY.month, DAY.day, 13, 0), wire.bits(word)]);
}

function namePlateFrame(of: { category: Category; control: 0x20 | 0x30 }): Buffer {
  const more = { D1: [], D2: [wire.u16(1)], D3: [wire.u16(200), wire.u16(1)] }[of.category];
  const plate = [wire.text(meterOf(of).number), wire.text(meterOf(of).number), wire.text("HAND LAID")];
  const rest = [
    wire.text("FW 1.07"),
    wire.u8(6),
    wire.text(of.category),
    wire.text("10-60A"),
    wire.u16(2024),
  ];
  return frame(of, "0.104.25.9.0.255", [...plate, ...rest, ...more]);
}

const scaled = (raw: number, scaler: number) => (scaler < 0 ? raw / 10 ** -scaler : raw * 10 ** scaler);

let daemon: DaemonProcess;
let test: TestDatabase;
let cli: CommandLine;
let sent = 0;

const row = async (table: string, meter: string, time: number, source?: string) => {
  const [found] = await test.database.query(
    `SELECT t.* FROM ${table} t JOIN meters m ON m.id = t.meter_id WHERE m.meter_number = $1 AND t.time = $2
        ${source === undefined ? "" : `AND t.source = '${source}'`}`,
    [meter, new Date(time)],
  );
  return found ?? {};
};
const plain = (value: unknown) => (value === null ? null : Number(value));

beforeAll(async () => {
  test = await createTestDatabase();
  cli = commandLine(test.url);
  const meters = METERS.map(({ number, category, control, systemTitle }) => {
    const protection = control === 0x20 ? "encrypted" : "authenticated+encrypted";
    return `${number},${category},${systemTitle.toString("hex")},${protection},${GUEK.toString("hex")},${GAK.toString("hex")}`;
  });
  await cli.json(
    ...["meters", "import"],
    cli.file(
      "meters.csv",
      ["meter_number,meter_type,system_title,required_protection,guek,gak", ...meters].join("\n"),
    ),
  );
  const logScalers = ["D1"].map((type) => `${type},${CURRENT}.255,2,-2,A`);
  const scalers = CATEGORIES.flatMap((category) => scalerLines(category, category));
  await cli.json(
    ...["meter-types", "import"],
    cli.file("scalers.csv", ["meter_type,obis,attribute,scaler,unit", ...scalers, ...logScalers].join("\n")),
  );
  daemon = await startDaemonProcess({
    HES_DATABASE__URL: test.url,
    HES_DATA_DIR: `${cli.folder}/data`,
  });
  const frames = cases.map(profileFrame);
  for (const of of METERS) {
    frames.push(...EVENT_LOGS.map((log) => eventFrame(of, log)), alertFrame(of), namePlateFrame(of));
  }
  for (const octets of frames) await sendOnce(daemon.port, octets);
  sent = frames.length;
  await eventually(async () => {
    const [count] = await test.database.query("SELECT count(*) AS n FROM push_history WHERE kind = 'push'");
    return count!["n"] === sent ? true : null;
  }, "every push has its row in push_history").catch(() => undefined);
}, 180_000);

afterAll(async () => {
  await daemon?.end("SIGTERM");
  cli?.remove();
  await test?.drop();
});

describe("push setups of IS 15959", () => {
  it("are all applied", async () => {
    const verdicts = await test.database.query(
      "SELECT verdict, error, count(*) AS n FROM push_history WHERE kind = 'push' GROUP BY verdict, error ORDER BY 1, 2",
    );
    const refused = await test.database.query("SELECT reason, message FROM security_events");
    expect(refused).toEqual([]);
    expect(verdicts).toEqual([{ verdict: "applied", error: null, n: sent }]);
  });

  it.each(cases)("$category, control $control: $kind $layout by $setup in its columns", async (of) => {
    const columns = SHEET[of.category][of.kind];
    const meter = meterOf(of).number;
    const table = TABLE[of.kind]!;
    const profile = table === null ? null : await row(table, meter, utc(of.minute));
    const measured = new Map<string, Record<string, unknown>>();
    const got: Record<string, unknown> = {};
    const expected: Record<string, unknown> = {};
    for (const [index, column] of columns.entries()) {
      if (column.column === "time") continue;
      const raw = rawOf(column, index, of.minute);
      const value =
        column.wire === "time" ? demandTime : column.wire === "bool" ? 1 : scaled(raw, column.scaler);
      if (profile !== null && column.column !== null) {
        expected[`profile ${column.column}`] = value;
        got[`profile ${column.column}`] = plain(profile[column.column]);
      }
      if (column.measurement !== null) {
        const [name, field] = column.measurement.split(".") as [string, string];
        if (!measured.has(name)) measured.set(name, await row(name, meter, utc(of.minute), of.kind));
        expected[column.measurement] = value;
        got[column.measurement] = plain(measured.get(name)![field]);
      }
    }
    expect(got).toEqual(expected);
    expect(Object.keys(expected).length).toBeGreaterThan(3);
  });

  it.each(METERS)(
    "$number: event logs and the event status word are events",
    async ({ number, category }) => {
      const events = await test.database.query(
        `SELECT e.log, e.code, e.name, e.active, e.time, e.context FROM meter_events e JOIN meters m ON m.id = e.meter_id
        WHERE m.meter_number = $1 ORDER BY e.time, e.code`,
        [number],
      );
      const at = (hour: number, minute: number) =>
        Date.UTC(DAY.year, DAY.month - 1, DAY.day, hour, minute) - 330 * 60_000;
      expect(events.map(({ log, code, time }) => ({ log, code, time }))).toEqual([
        ...EVENT_LOGS.map(({ log, code, index }) => ({ log, code, time: at(12, index) })),
        ...[3, 83, 85].map((code) => ({ log: "status-word", code, time: at(13, 0) })),
      ]);
      expect(events.map(({ name }) => name)).toEqual([
        expect.stringMatching(/over-voltage/i),
        expect.stringMatching(/R-phase current reverse/i),
        expect.stringMatching(/power failure/i),
        expect.stringMatching(/clock/i),
        expect.stringMatching(/magnet/i),
        expect.stringMatching(/cover/i),
        expect.stringMatching(/disconnected/i),
        expect.stringMatching(/over-voltage/i),
        expect.stringMatching(/cover/i),
        expect.stringMatching(/last gasp/i),
      ]);
      // What the log row carries besides stands with the event, scaled.
      const context = events[0]!["context"];
      expect(JSON.stringify(context)).toContain(category === "D1" ? "239.1" : "3.2");
    },
  );

  it.each(METERS)("$number: the name plate is readings by OBIS code", async ({ number, category }) => {
    const readings = await test.database.query(
      `SELECT o.code, r.value, r.value_text FROM meter_readings r JOIN obis_codes o ON o.id = r.obis_code_id
         JOIN meters m ON m.id = r.meter_id WHERE m.meter_number = $1`,
      [number],
    );
    const of = (code: string) => readings.find((reading) => reading["code"] === `${code}.255`);
    expect(of("0.0.96.1.1")).toMatchObject({ value_text: "HAND LAID" });
    expect(of("1.0.0.2.0")).toMatchObject({ value_text: "FW 1.07" });
    expect(of("0.0.96.1.4")).toMatchObject({ value: 2024 });
    if (category === "D3") expect(of("1.0.0.4.2")).toMatchObject({ value: 200 });
  });
});
