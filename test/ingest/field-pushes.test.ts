import { createSecretKey } from "node:crypto";
import { describe, expect, it } from "vitest";
import { loadCatalogue } from "../../src/catalogue/catalogue.ts";
import { decodeLine } from "../../src/cli/decode/batch.ts";
import { Naming } from "../../src/cli/decode/naming.ts";
import type { DecodeResult } from "../../src/cli/decode/result.ts";
import { scaled } from "../../src/mapping/scale.ts";
import type { MeterRecord } from "../../src/storage/meter-record.ts";
import { type FieldFrame, fieldFrames, fieldFramesPresent } from "../support/field-frames.ts";
import { Surroundings, TestConnection } from "./surroundings.ts";

/** What real meters pushed, from the first octet to the rows of the tables, once their meter is known. */
type Vector = FieldFrame;

/** Whose type a meter of the collection is, by how the vector's name begins. */
const TYPES: readonly (readonly [string, string])[] = [
  ["dp-sagemcom-xt211", "CZ-CII"],
  ["dp-iskra550", "AT-CII"],
  ["dp-e450", "AT-CII"],
  ["dp-netznoe", "AT-CII"],
  ["tirol", "AT-CII"],
  ["evn", "AT-CII"],
  ["wn-", "AT-CII"],
  ["shrdzm", "AT-CII"],
  ["guara", "AT-CII"],
  ["dp-aidon", "AIDON-HAN"],
  ["ams-aidon", "AIDON-HAN"],
  ["hass-aidon", "AIDON-HAN"],
  ["dp-omnipower", "KAMSTRUP-HAN"],
  ["ams-kamstrup", "KAMSTRUP-HAN"],
  ["hass-kamstrup", "KAMSTRUP-HAN"],
  ["u9n-kamstrup", "KAMSTRUP-HAN"],
  ["dp-kaifa", "KAIFA-HAN"],
  ["ams-kaifa", "KAIFA-HAN"],
  ["ams-hdlc-7e", "KAIFA-HAN"],
  ["amsb-kaifa", "KAIFA-HAN"],
  ["avi-", "KAIFA-HAN"],
  ["hass-kaifa", "KAIFA-HAN"],
  ["scs-am550", "CH-AM550"],
  ["scs-e360", "CH-E360"],
  ["scs-e450", "CH-E450"],
  ["scs-e570", "CH-E570"],
  ["u9n-", "GAS"],
  ["p1-", "P1"],
  ["t210d-interval1", "IDIS"],
  ["t210d-interval2", "CONCENTRATOR"],
  ["cx-", "CONCENTRATOR"],
  ["osgp-", "DSMR"],
  ["bx-plc-event", "IDIS"],
  ["iss-ams", "SI-CII"],
  ["iss-gurux20883", "D1"],
];

/** Pushes that end as no rows, and why that is right. */
const WITHOUT_ROWS = new Map([
  [
    "t210d-interval1",
    "its clock was never set: rows of 2000-01-01 would be wrong, so it waits in the quarantine",
  ],
]);

/** Columns and readings that a push must fill; `column: value`, a reading by its code. */
const STORED: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  "ams-kaifa-l1": { "power_readings.active_import_w": 5_852 },
  "ams-kaifa-l2": {
    "power_readings.active_import_w": 9_745,
    "power_readings.reactive_export_var": 435,
    "current_measurements.current_l1_a": 33.813,
    "current_measurements.current_l2_a": 28.103,
    "voltage_measurements.voltage_l1_v": 216.8,
    "voltage_measurements.voltage_l2_v": 0,
    "instant_profile.voltage_l3_v": 218.8,
  },
  "hass-kaifa-1ph-hourly": {
    "power_readings.active_import_w": 1_655,
    "energy_measurements.active_import_wh": 25_591_693,
    "instant_profile.current_l1_a": 6.952,
    time: "2022-05-05T19:00:10.000Z",
  },
  "hass-kamstrup-hourly": {
    "energy_measurements.active_import_wh": 155_232_510,
    "current_measurements.current_l1_a": 2.84,
    "instant_profile.voltage_l1_v": 238,
    time: "2022-11-26T14:00:05.000Z",
  },
  "scs-am550-vse2026": {
    "energy_measurements.active_import_wh": 15_207,
    "energy_measurements.reactive_import_varh": 12_784,
    "voltage_measurements.voltage_l1_v": 234.7,
    "current_measurements.current_l1_a": 0.12,
    time: "2026-05-04T17:19:30.000Z",
  },
  "scs-e360-vse2026": {
    "energy_measurements.active_export_wh": 4_547,
    "voltage_measurements.voltage_l1_v": 235.7,
    "current_measurements.current_l1_a": 0.06,
  },
  "scs-e450-vse2026": {
    "energy_measurements.active_import_wh": 482_939,
    "voltage_measurements.voltage_l2_v": 236,
    "current_measurements.current_l1_a": 0.09,
  },
  "scs-e570-vse2026": { "voltage_measurements.voltage_l1_v": 232 },
  "scs-e450-extregister": { "reading.0.1.24.2.1.255": 30_545 },
  "wn-iskra-2": {
    "energy_measurements.active_import_wh": 855,
    "energy_measurements.reactive_export_varh": 169,
    "power_readings.active_import_w": 0,
    time: "2021-10-21T04:44:02.000Z",
  },
  "shrdzm-wels-2": {
    "energy_measurements.active_import_wh": 3_532_035,
    "energy_measurements.reactive_import_varh": 392_175,
    "power_readings.active_import_w": 190,
    time: "2021-05-19T08:17:44.000Z",
  },
  "evn-sagemcom-badlen": {
    "energy_measurements.active_import_wh": 627_660,
    "voltage_measurements.voltage_l3_v": 237.2,
    "power_readings.power_factor": 0.819,
  },
  "iss-ams615-si": {
    "power_readings.active_import_w": 1_393,
    "power_readings.reactive_export_var": 738,
    "power_readings.active_import_l3_w": 1_325,
    "voltage_measurements.voltage_l3_v": 229.6,
    "current_measurements.current_l3_a": 5.97,
  },
  "iss-ams869-si9": { "power_readings.active_import_w": 592, "voltage_measurements.voltage_l1_v": 231.3 },
  "u9n-udp-00": {
    "reading.0.0.128.0.0.255": "125a8591360000000049000000110000000a5a8513d014800000000d0000000a0100",
  },
  "cx-plain-frame": {
    "event.device.12713984": "G3 : Node [0223:7EFF:FEFD:AAE9] [0x0006] has registered on the network",
    time: "2014-08-13T10:42:17.000Z",
  },
  "cx-enc-frame-with-auth": {
    "event.device.12910592": "Joining request for node [0223:7EFF:FEFD:848D]",
    time: "2015-01-14T14:05:05.000Z",
  },
  "cx-data-notif-plain-1-6-0": { "event.device.2": "Power up", time: "2016-07-19T08:39:40.000Z" },
  "cx-preliminary-protocol-execution--1-8-1": { "event.device.3538944": "event 3538944" },
  "cx-enc-data-notif-1-8-0": { "event.device.2293760": "PC LOAD LETTER" },
  "cx-relayed-data-notif-origin-header-am540-1-6-0": { "event.device.20": "relayed notification" },
  "osgp-mx382-lastgasp": { "event.alert.99": "last gasp", time: "2023-07-06T08:54:38.000Z" },
  "osgp-smr5-alarm": { "event.alarm-register-1.0": "clock invalid" },
  "osgp-dsmr4-alarm": { "event.alarm-register-1.0": "clock invalid" },
  "osgp-dsmr4-sms": { "event.wake-up.0": "woken up by 0.0.2.3.0.255" },
  "bx-plc-event": { "event.log-7.1": "power down", time: "2018-03-12T17:48:39.000Z" },
  "iss-gurux20883-lastgasp": {
    "event.alert.12": "last gasp: the power failed",
    time: "2021-05-09T22:54:44.000Z",
  },
};

const catalogue = loadCatalogue();
const naming = new Naming({ depthMax: 16, elementsMax: 20_000 });
const PUSHES = new Set(["push", "event", "stream"]);
const vectors: Vector[] = fieldFrames
  .map(({ vector }) => vector)
  .filter(({ id, kind, negative }) => negative === undefined && (PUSHES.has(kind) || id === "bx-plc-event"));

const typeOf = (id: string) => TYPES.find(([prefix]) => id.startsWith(prefix))?.[1];

/** The one meter that there is: by its system title, or by the address that it calls from. */
function meterOf(vector: Vector): MeterRecord {
  const { id, keys } = vector;
  const meterType = typeOf(id);
  if (meterType === undefined) throw new Error(`${id}: no type`);
  const key = (octets: string) => createSecretKey(Buffer.from(octets, "hex"));
  const of = (kind: "guek" | "gak", keyId: number, octets: string | undefined) =>
    octets === undefined
      ? []
      : [{ keyId, kind, clientSap: null, state: "ACTIVE" as const, key: key(octets) }];
  return {
    ...{ id: "the meter", meterNumber: "the meter", meterType, host: "192.0.2.1" },
    category: catalogue.meterTypes.find(({ name }) => name === meterType)!.category,
    ...{ manufacturer: null, model: null, logicalDeviceName: null, framing: "auto" },
    ...sealOf(vector),
    ...{ requiredProtection: 0, counterMayStandStill: false },
    deviationSign: "standard",
    timeZone: "Europe/Berlin",
    keys: [...of("guek", 1, keys?.guek), ...of("gak", 2, keys?.gak)],
  };
}

/** The title that stands in the frame, and the suite. */
function sealOf(vector: Vector): Pick<MeterRecord, "systemTitle" | "securitySuite"> {
  const { apdus } = decodeLine(JSON.stringify(vector), naming) as DecodeResult;
  const seal = apdus.find(({ protection }) => protection !== null)?.protection;
  const systemTitle = seal?.system_title ?? vector.keys?.system_title?.toLowerCase() ?? null;
  return { systemTitle, securitySuite: (seal?.suite ?? 0) as MeterRecord["securitySuite"] };
}

/** As it comes over a line: bare Data gets a notification around it, HDLC information loses its LLC. */
function octetsOf({ framing, hex, parts }: Vector): Buffer[] {
  if (framing === "axdr") return [Buffer.from(`0f0000000000${hex}`, "hex")];
  if (framing === "hdlc-info") return [Buffer.from(hex.slice(6), "hex")];
  return (parts ?? [hex]).map((part) => Buffer.from(part, "hex"));
}

type Stored = Map<string, unknown>;

/** Everything that was stored, by column or by code. */
function storedBy(surroundings: Surroundings): Stored {
  const stored: Stored = new Map();
  for (const { table, cells } of surroundings.committed.flatMap(({ rows }) => rows)) {
    const named = new Map(table.columns.map(({ name }, index) => [name, cells[index]] as const));
    stored.set("time", new Date(Math.floor((named.get("time") as number) / 1_000) * 1_000).toISOString());
    if (table.name === "meter_readings") {
      const code = catalogue.objects[(named.get("obis_code_id") as number) - 1]?.code;
      stored.set(`reading.${code}`, named.get("value") ?? named.get("value_text"));
    } else if (table.name === "meter_events") {
      stored.set(`event.${named.get("log")}.${named.get("code")}`, named.get("name"));
    } else {
      for (const [name, cell] of named) if (cell != null) stored.set(`${table.name}.${name}`, cell);
      const extra = JSON.parse((named.get("extra") as string | undefined) ?? "{}") as Record<string, unknown>;
      for (const [code, value] of Object.entries(extra)) stored.set(`extra.${code}`, value);
    }
  }
  return stored;
}

async function run(vector: Vector): Promise<Surroundings> {
  const surroundings = new Surroundings([], { meters: [meterOf(vector)] });
  const connection = new TestConnection();
  // A bridge in text mode can't be told from its octets: the line is set to it.
  surroundings.ingest.attach(connection, vector.framing === "hdlc-damaged" ? "hdlc-text-mode" : "auto");
  for (const octets of octetsOf(vector)) connection.receive(octets);
  await surroundings.ingest.drain();
  return surroundings;
}

/** What the source says of objects with a code; where the frame has no scaler it says the raw value. */
function asserted(vector: Vector): [string, number | string][] {
  const expected = vector.expect ?? {};
  const all = (expected["values"] ?? expected) as Record<string, unknown>;
  return Object.entries(all).flatMap(([code, value]) => {
    const plain = (value as { value?: unknown } | null)?.value ?? value;
    const isCode = /^\d+(\.\d+){5}$/.test(code) && code !== "0.0.0.0.0.0";
    return isCode && (typeof plain === "number" || typeof plain === "string")
      ? [[code, plain] as [string, number | string]]
      : [];
  });
}

/** Sources that name quantities instead of codes: what they call them, and the column that each must fill. */
const COLUMNS: readonly (readonly [RegExp, (name: RegExpMatchArray) => string])[] = [
  [/^active_power_(import|export)(?:_w)?$/, ([, way]) => `power_readings.active_${way}_w`],
  [/^reactive_power_(import|export)$/, ([, way]) => `power_readings.reactive_${way}_var`],
  [
    /^active_(?:power|energy)_(import|export)_(?:total|kwh)$/,
    ([, way]) => `energy_measurements.active_${way}_wh`,
  ],
  [/^reactive_power_(import|export)_total$/, ([, way]) => `energy_measurements.reactive_${way}_varh`],
  [/^reactive_energy_(import|export)$/, ([, way]) => `energy_measurements.reactive_${way}_varh`],
  [/^active_energy_(import|export)$/, ([, way]) => `energy_measurements.active_${way}_wh`],
  [/^voltage_l(\d)$/, ([, phase]) => `voltage_measurements.voltage_l${phase}_v`],
  [/^current_l(\d)$/, ([, phase]) => `current_measurements.current_l${phase}_a`],
];

/** The codes that stand in a push beside a value. */
function pushedCodes(vector: Vector): string[] {
  const { apdus } = decodeLine(JSON.stringify(vector), naming) as DecodeResult;
  return apdus.flatMap(({ values }) => values.flatMap(({ obis }) => obis ?? []));
}

const fills = (code: string, column: string) =>
  [2, 3]
    .flatMap((attribute) => catalogue.byCode(code, attribute) ?? [])
    .some((object) => `${object.table}.${object.column}` === column);

function expectNamed(stored: Stored, vector: Vector): void {
  for (const [key, value] of Object.entries(vector.expect ?? {})) {
    const name = key.toLowerCase().replace(/_p$/, "_import").replace(/_n$/, "_export");
    const known = COLUMNS.map(([pattern, column]) => [name.match(pattern), column] as const).find(
      ([hit]) => hit,
    );
    if (known === undefined || typeof value !== "number") continue;
    const column = known[1](known[0]!);
    const wanted = name.endsWith("_kwh") ? value * 1_000 : value;
    // Some sources say 0 of a phase that their meter does not have: then nothing that would fill the column was pushed.
    if (wanted === 0 && !stored.has(column)) {
      expect({ key, pushed: pushedCodes(vector).filter((code) => fills(code, column)) }).toEqual({
        key,
        pushed: [],
      });
      continue;
    }
    expect({ key, value: stored.get(column) }).toEqual({ key, value: wanted });
  }
}

const LOCAL = /^datetime\((\d+), (\d+), (\d+), (\d+), (\d+)(?:, (\d+))?(?:, tzinfo=(.*))?\)$/;

/** `datetime(2020, 1, 21, 16, 0, 0, tzinfo=timezone.utc)`, or local time of the meter; `2026-05-04 17:19:30` with its zone in the key. */
function expectTime(stored: Stored, { expect: expected }: Vector): void {
  const of = (key: string) => expected?.[key] as string | undefined;
  const dated = Object.keys(expected ?? {}).find((key) =>
    /^meter_datetime$|^date_time\..*datetime$/.test(key),
  );
  const utc = of("timestamp_utc");
  if (utc !== undefined) expect(stored.get("time")).toBe(new Date(`${utc}Z`).toISOString());
  const [, ...parts] = LOCAL.exec(of(dated ?? "") ?? "") ?? [];
  if (dated !== undefined) expect(parts.length).toBeGreaterThan(0);
  const local = parts.length > 0 ? parts.slice(0, 6).map((part) => Number(part ?? 0)) : null;
  const text = of("timestamp_local");
  if (local === null && text === undefined) return;
  const wanted =
    local === null
      ? Date.parse(`${text}Z`)
      : Date.UTC(local[0]!, local[1]! - 1, local[2], local[3], local[4], local[5]);
  const summer = new Date(wanted).getUTCMonth() > 2 && new Date(wanted).getUTCMonth() < 9;
  const zone = parts[6]?.includes("utc") ? 0 : parts[6]?.includes("hours=1") ? 1 : summer ? 2 : 1;
  expect(stored.get("time")).toBe(new Date(wanted - zone * 3_600_000).toISOString());
}

/** Why a meter pushed, in the source's words, and of which log the event is that says so. */
const TRIGGERS: Readonly<Record<string, RegExp>> = {
  "Push alarm monitor": /^event\.(alarm-register-\d|alert)\./,
  "Push sms wakeup": /^event\.wake-up\./,
};

function expectTrigger(stored: Stored, { expect: expected }: Vector): void {
  const trigger = expected?.["trigger"] as string | undefined;
  if (trigger === undefined) return;
  expect([...stored.keys()].filter((key) => TRIGGERS[trigger]!.test(key))).not.toEqual([]);
}

describe.skipIf(!fieldFramesPresent)("pushes of real meters become rows", () => {
  it.each(vectors.map((vector) => [vector.id, vector] as const))("%s", async (id, vector) => {
    const surroundings = await run(vector);
    const rows = surroundings.committed.flatMap((push) => push.rows);
    const why = surroundings.committed.map(({ quarantine }) => quarantine);
    const seen = { why, refused: surroundings.refused, kept: surroundings.kept.map(({ reason }) => reason) };
    if (WITHOUT_ROWS.has(id)) {
      expect({ rows: rows.length, reason: why[0]?.reason }).toEqual({ rows: 0, reason: "time_implausible" });
      return;
    }
    // Behind the frame stands a signature that belongs to no frame.
    const refused = vector.framing === "hdlc+trailer" ? ["malformed"] : [];
    expect({ ...seen, rows: rows.length > 0 }).toEqual({
      why: why.map(() => null),
      refused,
      kept: [],
      rows: true,
    });
    const stored = storedBy(surroundings);
    for (const [name, value] of Object.entries(STORED[id] ?? {})) {
      expect({ name, value: stored.get(name) }).toEqual({ name, value });
    }
    expectNamed(stored, vector);
    expectTime(stored, vector);
    expectTrigger(stored, vector);
    for (const [code, value] of asserted(vector)) expectStored(stored, code, value, typeOf(id)!);
  });
});

function expectStored(stored: Stored, code: string, value: number | string, meterType: string): void {
  const objects = [2, 3].flatMap((attribute) => catalogue.byCode(code, attribute) ?? []);
  const keys = [
    ...objects.map(({ table, column }) => `${table}.${column}`),
    ...[`extra.${code}`, `extra.${code}/3`, `reading.${code}`],
  ];
  const known = catalogue.scalers.find((scaler) => scaler.meterType === meterType && scaler.code === code);
  const found = keys.filter((key) => stored.has(key)).map((key) => stored.get(key));
  // An identifier is the meter's, a clock the rows'.
  if (found.length === 0 && (typeof value === "string" || code.endsWith(".0.0.0.255"))) return;
  const wanted =
    typeof value === "number" && known !== undefined ? [value, scaled(value, known.scaler)] : [value];
  expect({ code, found: found.some((one) => wanted.includes(one as number)) ? wanted : found }).toEqual({
    code,
    found: wanted,
  });
}
