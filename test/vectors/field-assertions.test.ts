import { createSecretKey } from "node:crypto";
import { describe, expect, it } from "vitest";
import { decodePieces } from "../../src/cli/decode/batch.ts";
import { isFraming } from "../../src/cli/decode/framing.ts";
import { decodeKeys } from "../../src/cli/decode/keys.ts";
import { Naming } from "../../src/cli/decode/naming.ts";
import type { Opened } from "../../src/cli/decode/opened.ts";
import { mechanisms } from "../../src/dlms/acse/apdu.ts";
import { GeneralBlocks } from "../../src/dlms/association/general-blocks.ts";
import type { Data } from "../../src/dlms/encoding/data.ts";
import { readDateTime, toEpochMs, type ZoneRule } from "../../src/dlms/encoding/date-time.ts";
import { expandProfileRows } from "../../src/dlms/encoding/profile-compression.ts";
import { frameType } from "../../src/dlms/hdlc/control.ts";
import { HdlcDeframer } from "../../src/dlms/hdlc/deframer.ts";
import { type HdlcFrame, readHdlcFrame } from "../../src/dlms/hdlc/frame.ts";
import { gmac } from "../../src/dlms/security/gmac.ts";
import { WrapperDeframer } from "../../src/dlms/wrapper/deframer.ts";
import { readApdu, writeApdu } from "../../src/dlms/xdlms/apdu.ts";
import type { GeneralBlockTransfer } from "../../src/dlms/xdlms/general-block-transfer.ts";
import { conformanceNames } from "../../src/dlms/xdlms/initiate.ts";
import { Unstuffing } from "../../src/ingest/line-repair.ts";
import { type FieldFrame, fieldFrames, fieldFramesPresent } from "../support/field-frames.ts";
import { drain, hex } from "../support/framing.ts";

/**
 * What the sources of the field frames assert of everything but values of objects: framing, associations, services, envelopes,
 * times, calculations. Each key of each `expect` is looked at here, in field-frames.test.ts (values by OBIS code), or in
 * ingest/field-pushes.test.ts (what a push becomes); the last test says so.
 */
// biome-ignore lint/suspicious/noExplicitAny: the collection's JSON has as many shapes as it has sources
type Any = any;

const naming = new Naming({ depthMax: 16, elementsMax: 20_000 });
const key = (octets: string | undefined) => (octets ? hex(octets) : null);

/** What a vector came to. Everything is worked out on demand, for most vectors need little of it. */
class Found {
  readonly vector: FieldFrame;
  readonly octets: Buffer;

  constructor(vector: FieldFrame) {
    this.vector = vector;
    this.octets = hex(vector.hex);
  }

  get decoder() {
    const { framing, parts, keys } = this.vector;
    if (!isFraming(framing)) throw new Error(framing);
    const read = decodeKeys(key(keys?.guek), key(keys?.gak), key(keys?.system_title));
    const pieces = framing === "raw-apdu-chunks" ? [this.octets] : (parts?.map(hex) ?? [this.octets]);
    return decodePieces(
      pieces.map((octets) => ({ octets, sender: null })),
      framing,
      read,
      naming,
    );
  }

  /** All layers of all APDUs, from the outside to the inside. */
  get layers(): Opened[] {
    const layers: Opened[] = [];
    for (const { opened } of this.decoder.decoded) {
      for (let at: Opened | null = opened; at !== null; at = at.inner) layers.push(at);
    }
    return layers;
  }

  /** The one layer of these APDUs, as read. */
  apdu(...names: string[]): Any {
    const read = this.layers.map(({ apdu }) => apdu).find((apdu) => names.includes(apdu?.apdu ?? ""));
    if (!read) throw new Error(`no ${names} in ${this.layers.map(({ apdu }) => apdu?.apdu)}`);
    return read;
  }

  get json() {
    return this.decoder.decoded.map(({ json }) => json);
  }

  get hdlc(): HdlcFrame[] {
    const octets = this.vector.framing === "hdlc-stuffed" ? new Unstuffing().push(this.octets) : this.octets;
    return drain(new HdlcDeframer(), [octets], (frame) => ({
      ...frame,
      information: frame.information && Buffer.from(frame.information),
    })).frames;
  }

  get wrapper() {
    return drain(new WrapperDeframer(), [this.octets], ({ payload, ...ports }) => ({
      ...ports,
      length: payload.length,
    })).frames;
  }
}

const answerToChallenge = ({ vector: { keys }, octets }: Found): string =>
  gmac(octets, { suite: 0, counter: 1 }, hex(keys!.system_title!), {
    encryption: createSecretKey(hex(keys!.guek!)),
    authentication: createSecretKey(hex(keys!.gak!)),
  } as never).toString("hex");

type Check = (found: Found, wanted: Any) => void;

const RESULTS = ["accepted", "rejected-permanent", "rejected-transient"];
const DIAGNOSTICS: Record<number, string> = { 13: "authentication-failure", 14: "authentication-required" };
const MECHANISMS: Record<string, string> = { LLS: "low-LLS", HLS_GMAC: "high-HLS-GMAC" };

/** Parameters of an SNRM or UA by their identifier: 81 80 length, { identifier, length, value }. */
function parametersOf({ information }: HdlcFrame): Map<number, number> {
  const parameters = new Map<number, number>();
  for (let at = 3; at < information!.length; ) {
    const length = information![at + 1]!;
    parameters.set(information![at]!, information!.readUIntBE(at + 2, length));
    at += 2 + length;
  }
  return parameters;
}

const tree = (found: Found) => found.json.at(-1)!.data as Any;
/** Numbers of a tree, however typed, octets as hex. */
function plain(value: Any): Any {
  if (value === null || typeof value !== "object") return value;
  const [[type, content]] = Object.entries<Any>(value) as [[string, Any]];
  return Array.isArray(content) && type !== "os" ? content.map(plain) : content;
}
const rowsOf = (value: Any): Any[] => value.array ?? value.structure ?? value["compact-array"];
const eventsOf = (found: Found) => found.json.flatMap(({ events }) => events);
/** Every text that stands anywhere in what a meter sent. */
const textsOf = (found: Found) =>
  [...JSON.stringify(found.json.map(({ data }) => data)).matchAll(/"(os|vs)":"([^"]*)"/g)].map(
    ([, type, content]) => (type === "os" ? hex(content!).toString("latin1") : content!),
  );
const asHex = (_name: string, value: Any) =>
  value?.type === "Buffer" ? Buffer.from(value.data).toString("hex") : value;
const listOf = (wanted: unknown[]) => (got: Any[]) =>
  JSON.stringify(got.map(plain)) === JSON.stringify(wanted);
const telegramOf = (found: Found) => found.layers.at(-1)!.octets.toString("latin1");
const alarmBitsOf = (found: Found) =>
  (found.json[0]!.values.find(({ obis }) => obis === "0.0.97.98.0.255")?.value as number | undefined) ?? null;
const UTC: ZoneRule = { deviationSign: "standard", offsetMinutesAt: () => 0 };
/** Both times are of the night when daylight saving ends in Central Europe: the clock status says which of the two hours. */
const epochWithSummerTime = (octets: Buffer) =>
  toEpochMs(readDateTime(octets, 0), {
    deviationSign: "standard",
    offsetMinutesAt: () => (octets[11]! & 0x80 ? 120 : 60),
  });
const TIME = /^(\d{4})-(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d)$/;
const epochOf = (text: string) => Date.parse(/[+-]\d\d:\d\d$|Z$/.test(text) ? text : `${text}Z`);

const CHECKS: Readonly<Record<string, Check>> = {
  // Framing
  frames: (found, count) => expect(found.hdlc).toHaveLength(count),
  payload: (found, octets) => expect(found.hdlc[0]!.information!.toString("hex")).toBe(octets),
  good_fcs: (found) => expect(found.hdlc).toHaveLength(1),
  expected_length: (found) => expect(found.hdlc[0]!.octets).toBe(found.octets.length - 2),
  ctl: (found, type) => expect(frameType(found.hdlc[0]!.control)).toBe(type),
  max_information_field_transmit: (found, octets) =>
    expect(parametersOf(found.hdlc[0]!).get(0x05)).toBe(octets),
  receive: (found, octets) => expect(parametersOf(found.hdlc[0]!).get(0x06)).toBe(octets),
  window: (found, frames) => expect(parametersOf(found.hdlc[0]!).get(0x07)).toBe(frames),
  destination: (found, [upper]) => expect(found.hdlc[0]!.destination.upper).toBe(upper),
  /** One source calls so the sender's address on the line, the others the name of the meter that they read in the body. */
  source: (found, from) => {
    if (Array.isArray(from)) expect(found.hdlc[0]!.source.upper).toBe(from[0]);
    else expect(textsOf(found)).toContain(from);
  },
  physical_id: (found, id) => expect(readHdlcFrame(found.octets).destination.lower).toBe(id),
  wrapper: (found, { source, destination, length }) =>
    expect(found.wrapper[0]).toEqual({ sourceWPort: source, destinationWPort: destination, length }),
  source_port: (found, port) => expect(found.wrapper[0]!.sourceWPort).toBe(port),
  destination_port: (found, port) => expect(found.wrapper[0]!.destinationWPort).toBe(port),

  // Associations
  result: (found, result) => {
    if (Array.isArray(result)) return expect(found.json.at(-1)!.data).toSatisfy(listOf(result));
    const { apdu } = found.layers[0]!;
    if (apdu?.apdu === "set-response") return expect(apdu).toMatchObject({ result: "success" });
    expect(found.apdu("aare").result).toBe(RESULTS[result]);
  },
  diagnostic: (found, code) =>
    expect(found.apdu("aare").resultSourceDiagnostic.diagnostic).toBe(DIAGNOSTICS[code]),
  authentication: (found, name) =>
    expect(mechanisms[found.apdu("aarq", "aare").mechanismName]).toBe(MECHANISMS[name]),
  password: (found, text) =>
    expect(found.apdu("aarq").callingAuthenticationValue.toString("latin1")).toBe(text),
  ctos: (found, octets) =>
    expect(found.apdu("aarq").callingAuthenticationValue.toString("hex")).toBe(octets.toLowerCase()),
  authentication_value: (found, text) =>
    expect(found.apdu("aare").respondingAuthenticationValue.toString("latin1")).toContain(text),
  server_title: (found, title) =>
    expect(found.apdu("aare").respondingApTitle.toString("hex")).toBe(title.toLowerCase()),
  reason: (found, reason) => {
    const names: Record<string, unknown> = { 0: "normal", "not finished": "not-finished" };
    const got = found.apdu("rlre").reason;
    if (reason === "unknown") expect(got).toBe(0x22);
    else expect(got).toBe(names[reason]);
  },
  dedicated_key: (found, octets) =>
    expect(found.apdu("initiate-request").dedicatedKey.toString("hex")).toBe(octets),
  max_pdu: (found, octets) => {
    const read = found.apdu("initiate-request", "initiate-response");
    expect(read.clientMaxReceivePduSize ?? read.serverMaxReceivePduSize).toBe(octets);
  },
  conformance: (found, wanted) => {
    const bits = found.apdu("initiate-response").negotiatedConformance;
    if (typeof wanted === "number") expect(bits).toBe(wanted);
    else expect(new Set(conformanceNames(bits))).toEqual(new Set(wanted));
  },
  dlms_version: (found, version) =>
    expect(found.apdu("initiate-response").negotiatedDlmsVersionNumber).toBe(version),
  qos: (found, quality) => expect(found.apdu("initiate-response").negotiatedQualityOfService).toBe(quality),

  // Services
  octets: (found, wanted: string[]) =>
    expect(JSON.stringify(found.apdu("get-response"), asHex)).toSatisfy((text: string) =>
      wanted.every((octets) => text.includes(octets)),
    ),
  block_number: (found, number) => expect(found.apdu("get-response").blockNumber).toBe(number),
  last: (found, last) => expect(found.apdu("get-response").lastBlock).toBe(last),
  status: (found) => expect(found.apdu("action-response").result).toBe("success"),
  error: (found) =>
    expect(found.apdu("action-response").returnParameters).toMatchObject({ result: "other-reason" }),
  results: (found, results: number[]) =>
    expect(found.apdu("set-response").results).toEqual(results.map(() => "success")),
  frame_counter: (found, counter) => expect(plain(tree(found))).toBe(counter),
  "0.0.42.0.0.255": (found, text) => expect(textsOf(found)).toEqual([text]),
  "0.0.43.1.0.255": (found, counter) => expect(plain(tree(found))).toBe(counter),
  reassembled: (found, octets) =>
    expect(found.layers.map((at) => at.octets.toString("hex"))).toContain(octets),
  client_sends: ({ vector }, answers: string[]) => {
    const blocks = new GeneralBlocks({ blockOctets: 100, window: 5, apduOctetsMax: 1_000 });
    const sent: string[] = [];
    for (const part of vector.parts!) {
      blocks.receive(readApdu(hex(part), { depthMax: 1, elementsMax: 1 }) as GeneralBlockTransfer);
      const answer = blocks.takeOutput();
      if (answer !== null)
        sent.push(writeApdu({ apdu: "general-block-transfer", ...answer }).toString("hex"));
    }
    expect(sent).toEqual(answers);
  },

  // Envelopes
  plaintext: (found, octets) => expect(found.layers.map((at) => at.octets.toString("hex"))).toContain(octets),
  system_title: (found, title) => {
    const { systemTitle, callingApTitle } = found.apdu("general-glo-ciphering", "aarq");
    expect((systemTitle ?? callingApTitle).toString("hex")).toBe(title ?? "");
  },
  ciphered_text: (found, octets) =>
    expect(found.apdu("general-glo-ciphering").content.subarray(5).toString("hex")).toBe(octets),
  inner: (found) => expect(found.apdu("data-notification")).toBeTruthy(),
  /** A tag of 12 octets ends a message that is authenticated and not encrypted. */
  mac: (found, octets) =>
    expect(found.apdu("general-ciphering").content.subarray(-12).toString("hex")).toBe(octets),
  starts: (found, text) => expect(telegramOf(found).startsWith(text)).toBe(true),
  ends: (found, text) =>
    expect(telegramOf(found).replaceAll(/[\r\n]+[0-9A-F]{0,4}[\r\n]*$/g, "")).toContain(text.split("\r")[0]),
  value: (found, wanted) => {
    if (typeof wanted === "string") expect(found.json[0]!.time).toBe(wanted);
    else expect(JSON.stringify(found.json[0]!.data)).toContain(`:${wanted}}`);
  },

  // Notifications
  long_invoke_id: (found, id) => expect(found.apdu("data-notification").longInvokeId & 0xff_ffff).toBe(id),
  date_time: (found, wanted) => {
    const [{ time }] = found.json as Any;
    if (wanted === null) return expect(time).toBeNull();
    const two = (number: number) => String(number).padStart(2, "0");
    const { year, month, day, hour, minute, second, deviation } = wanted;
    const offset = `${deviation > 0 ? "-" : "+"}${two(Math.abs(deviation) / 60)}:00`;
    expect(time).toBe(
      `${year}-${two(month)}-${two(day)}T${two(hour)}:${two(minute)}:${two(second)}${offset}`,
    );
  },
  body: (found, octets) => expect(found.apdu("data-notification").body.toString("hex")).toBe(octets),
  // Where code and value stand flat behind each other, two elements are one of the source's.
  length: (found, count) =>
    expect([rowsOf(tree(found)).length, found.json[0]!.values.length]).toContain(count),
  /** A time that stands in front without a code of its own is one of that source's objects. */
  objects: (found, count) => {
    const codeless = (found.vector.expect!["values"] as Any)["0.0.0.0.0.0"];
    const time = codeless === undefined ? null : TIME.exec(codeless);
    if (time !== null) {
      const [, year, ...rest] = time.map(Number) as [number, number, ...number[]];
      const [month, day, hour, minute, second] = rest;
      const octets = Buffer.from([year >> 8, year & 0xff, month!, day!, hour!, minute!, second!]);
      const { os } = rowsOf(tree(found))[0];
      expect(Buffer.concat([hex(os).subarray(0, 4), hex(os).subarray(5, 8)])).toEqual(octets);
    } else if (codeless !== undefined) expect(textsOf(found)).toContain(codeless);
    expect(found.json[0]!.values).toHaveLength(time === null ? count : count - 1);
  },
  list_version: (found, text) => {
    const versions = /^[01]\.[01]\.0\.2\.129\.255$/;
    const said = found.json.flatMap(({ values }) => values).filter(({ obis }) => versions.test(obis ?? ""));
    // A list without its version is of the maker's that the texts of that version name.
    if (said.length > 0) expect(said.map(({ value }) => value)).toContain(text);
    else expect(found.vector.maker.toUpperCase()).toBe(text.split("_")[0]);
  },
  device_id: (found, id) => expect(textsOf(found).join("\n")).toContain(id),
  equipment_identifier: (found, id) => expect(textsOf(found).join("\n")).toContain(id),
  event_time_epoch_ms: (found, epochMs) =>
    expect(eventsOf(found).map(({ time }) => Math.floor(epochOf(time!) / 1_000) * 1_000)).toContain(epochMs),
  event_code_or_device_code: (found, code) =>
    expect(eventsOf(found).map((event) => event.code)).toContain(code),
  message: (found, text) => expect(textsOf(found).join("\n")).toContain(text),
  alarm: (found) => expect(eventsOf(found).map(({ name }) => name)).toContain("last gasp"),
  /** `hes decode` doesn't know whose meter it is: the bits are named where it does, see ingest/field-pushes.test.ts. */
  alarms: (found, names: string[]) => expect(alarmBitsOf(found)).toBe(names.length > 0 ? 1 : null),

  // Data and times
  rows: (found, count) => expect(rowsOf(tree(found))).toHaveLength(count),
  row_elements: (found, count) => {
    for (const row of rowsOf(tree(found))) expect(row.structure).toHaveLength(count);
  },
  elements: (found, count) => expect(rowsOf(tree(found))).toHaveLength(count),
  values: (found, wanted) => {
    if (Array.isArray(wanted)) expect(plain(tree(found))).toEqual(wanted);
  },
  ...Object.fromEntries(
    ["list_ver_id", "meter_id", "meter_type"].map((name) => [
      name,
      (found: Found, text: string) => expect(textsOf(found)).toContain(text),
    ]),
  ),
  capture_period_s: ({ vector }) => expect(vector.expect!["end_times_epoch_ms"]).toBeTruthy(),
  end_times_epoch_ms: (found, times: Record<number, number>) => {
    const { body } = found.layers[0]!;
    const capturePeriodSeconds = found.vector.expect!["capture_period_s"] as number;
    const rows = expandProfileRows(body!.value as Data[], { clockColumn: 0, capturePeriodSeconds });
    for (const [row, epochMs] of Object.entries(times)) {
      const [clock] = rows[Number(row)]!.value as Data[];
      expect(toEpochMs(readDateTime(clock!.value as Buffer, 0), UTC)).toBe(epochMs);
    }
  },
  epoch_ms: (found, epochMs) => expect(epochWithSummerTime(found.octets)).toBe(epochMs),

  // Calculations: the answer to a challenge is security control, invocation counter and tag.
  f_StoC: (found, answer) => expect(answerToChallenge(found)).toBe(answer),
  sc: (found, octet) => expect(answerToChallenge(found).slice(0, 2)).toBe(octet),
  ic: (found, octets) => expect(answerToChallenge(found).slice(2, 10)).toBe(octets),
  tag: (found, octets) => expect(answerToChallenge(found).slice(10)).toBe(octets),
};

/** Keys that are no assertions of the octets. */
const REMARKS: ReadonlyMap<string, string> = new Map([
  ["scaling", "how the source came to its values"],
  ["meter_manufacturer", "which of its decoders the source used"],
  ["mac_valid_with_source_keystore", "with a key that the source keeps to itself"],
]);

/** Vectors that are not met, and why. */
const EXCEPTIONS = new Map([
  ["ecdh-1e1s", "a key agreement and no message: agreed keys are refused as unsupported"],
]);

/** What a push's values become is looked at in ingest/field-pushes.test.ts, and values by code in field-frames.test.ts. */
const ELSEWHERE = [
  /^\d+(\.\d+){5}$/,
  /^(ACTIVE|REACTIVE)_(POWER|ENERGY)_|^(VOLTAGE|CURRENT)_L|^timestamp_/,
  /^(re)?active_(power|energy)_|^(voltage|current)_l\d$|^meter_datetime$|^date_time\.|^trigger$/,
];

const asserting = fieldFrames
  .map(({ vector }) => vector)
  .filter(({ expect: wanted, negative, id }) => wanted && negative === undefined && !EXCEPTIONS.has(id));
/** `list_items[3].value`, `item[0]`: an element of the body by its position. */
const POSITION = /^(?:list_items|item)\[(\d+)\]/;

function checkOf(name: string): Check | null {
  const position = POSITION.exec(name);
  if (position === null) return CHECKS[name] ?? null;
  return (found, wanted) => {
    // One source counts from behind the list's name.
    const first = name.includes("0 = list id") ? 1 : 0;
    const element = rowsOf(tree(found))[Number(position[1]) + first];
    const value = element.os === undefined ? plain(element) : hex(element.os).toString("latin1");
    expect(value).toBe(wanted?.value ?? wanted);
  };
}

const cases = asserting.flatMap((vector) =>
  Object.entries(vector.expect!)
    .filter(([name]) => checkOf(name) !== null)
    .filter(([name]) => !name.startsWith("0.0.4") || !vector.apdu.includes("notification"))
    .map(([name, wanted]) => [vector.id, name, wanted, vector] as const),
);

describe.skipIf(!fieldFramesPresent)("what the sources assert", () => {
  it.each(cases)("%s: %s", (_id, name, wanted, vector) => checkOf(name)!(new Found(vector), wanted));

  it("every assertion is looked at somewhere", () => {
    const nowhere = asserting.flatMap(({ id, expect: wanted }) =>
      Object.keys(wanted!)
        .filter(
          (name) =>
            checkOf(name) === null && !REMARKS.has(name) && !ELSEWHERE.some((known) => known.test(name)),
        )
        .map((name) => `${id}: ${name}`),
    );
    expect(nowhere).toEqual([]);
    expect(EXCEPTIONS.size).toBeLessThanOrEqual(3);
  });
});
