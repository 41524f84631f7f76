import { createSecretKey } from "node:crypto";
import { loadCatalogue } from "../../src/catalogue/catalogue.ts";
import { isAcseTag, readAcse } from "../../src/dlms/acse/apdu.ts";
import { Reader } from "../../src/dlms/bytes/reader.ts";
import { Writer } from "../../src/dlms/bytes/writer.ts";
import { readData, skipData, writeData } from "../../src/dlms/encoding/data.ts";
import { toEpochMs } from "../../src/dlms/encoding/date-time.ts";
import { fcs16 } from "../../src/dlms/hdlc/fcs.ts";
import { verifyGmac } from "../../src/dlms/security/gmac.ts";
import { unwrapKey } from "../../src/dlms/security/key-wrap.ts";
import { type ProtectionKeys, protect, unprotect } from "../../src/dlms/security/protection.ts";
import { readApdu } from "../../src/dlms/xdlms/apdu.ts";
import { StreamDeframer } from "../../src/ingest/deframer.ts";
import { openEnvelope } from "../../src/ingest/envelope.ts";
import { readNotification } from "../../src/ingest/notification.ts";
import { ReceivedBlocks } from "../../src/ingest/received-blocks.ts";
import { DEFAULT_LIMITS } from "../../src/limits.ts";
import { LINE_FRAMINGS } from "../../src/line-framing.ts";
import { CaptureLists } from "../../src/mapping/capture-lists.ts";
import { recordsOfCatalogue } from "../../src/mapping/catalogue-records.ts";
import { configureMapping } from "../../src/mapping/configuration.ts";
import { mapPush } from "../../src/mapping/map-push.ts";
import { planOf } from "../../src/mapping/plan.ts";
import { zoneRule } from "../../src/mapping/zone.ts";
import { ASSOCIATION_TARGETS } from "./association-targets.ts";
import type { Target } from "./fuzz.ts";
import { asRecords, LIMITS, records, TITLE } from "./records.ts";
import { recordedNotifications, recordedStreams, vectorsIn } from "./seeds.ts";

const APDU_FOLDERS = ["association", "envelopes", "notifications", "services", "refused", "tolerated"];
const key = (octet: number) => createSecretKey(Buffer.alloc(16, octet));
const KEYS: ProtectionKeys = { encryption: key(1), authentication: key(2) };

/** Small, so that inputs of usual length reach it. */
const SMALL_LIMITS = { ...DEFAULT_LIMITS, apduBytesMax: 64 };

/** Takes everything out of a deframer. */
function drain(deframer: StreamDeframer, blocks: ReceivedBlocks, now: number): void {
  for (let next = deframer.next(now); next.kind !== "need-more"; next = deframer.next(now)) {
    if (next.kind === "frame") blocks.take(next.value, now);
    else if (next.count <= 0 || next.text === "") throw new TypeError("a loss that says nothing");
  }
  deframer.takeReply();
}

/** Lets time pass until it waits for nothing. */
function waitOut(deframer: StreamDeframer, blocks: ReceivedBlocks, from: number): void {
  let now = from;
  for (let deadline = deframer.deadline(); deadline !== null; deadline = deframer.deadline()) {
    if (deadline <= now) throw new TypeError("a deadline that has passed already");
    now = deadline;
    deframer.handleTimeout(now);
    drain(deframer, blocks, now);
  }
  blocks.handleTimeout(now + DEFAULT_LIMITS.apduMs);
}

function runStream(octets: Buffer): void {
  const [first = 0, cut = 0] = octets;
  const framing = LINE_FRAMINGS[first % LINE_FRAMINGS.length]!;
  const deframer = new StreamDeframer({ framing, limits: DEFAULT_LIMITS });
  const blocks = new ReceivedBlocks(DEFAULT_LIMITS);
  const stream = octets.subarray(2);
  const size = cut === 0 ? stream.length : Math.max(cut, stream.length >> 6);
  let now = 0;
  for (let at = 0; at < stream.length; at += size) {
    deframer.push(stream.subarray(at, at + size), ++now);
    drain(deframer, blocks, now);
  }
  waitOut(deframer, blocks, now);
}

/** HDLC frames whose check sequences are right, which no mutation finds by itself. */
function framed(content: Buffer): Buffer {
  const [flags = 0, ...rest] = content;
  const body = Buffer.from(rest);
  const headerOctets = Math.min(body.length, 3 + (flags & 7));
  const hasInformation = body.length > headerOctets;
  const length = 2 + body.length + (hasInformation ? 4 : 2);
  const frame = Buffer.alloc(length + 2, 0x7e);
  frame.writeUInt16BE(0xa000 | ((flags & 8) << 8) | length, 1);
  body.copy(frame, 3, 0, headerOctets);
  let at = 3 + headerOctets;
  if (hasInformation) {
    frame.writeUInt16LE(fcs16(frame, 1, at), at);
    at += 2 + body.copy(frame, at + 2, headerOctets);
  }
  frame.writeUInt16LE(fcs16(frame, 1, at), at);
  return frame;
}

/** Found in 2026: compact-arrays of null-data, which an APDU without a frame was read for again with every octet. */
const ARRAYS_OF_NOTHING = Buffer.from(
  "0005da12ae0047001e00250507ff0f1d02160000020501120309060100350700000000020500000d0700ff0f02020213020205010906010001000593bf0100010012030906ff0f02020213023a135ece6203c30912030309060100200700ff0f02120000020412000309060100340700ff0f02120000020412000309060100",
  "hex",
);

function runHdlc(octets: Buffer): void {
  const deframer = new StreamDeframer({ framing: "hdlc", limits: SMALL_LIMITS });
  const blocks = new ReceivedBlocks(SMALL_LIMITS);
  let now = 0;
  // What comes whole in one frame is as long as a frame may be, whatever the limit of segments.
  let longest = 0;
  for (const record of records(octets)) {
    longest = Math.max(longest, record.length);
    deframer.push(framed(record), ++now);
    for (let next = deframer.next(now); next.kind !== "need-more"; next = deframer.next(now)) {
      if (next.kind === "frame" && next.value.apdu.length > longest) tooLong(next.value.apdu);
    }
  }
  waitOut(deframer, blocks, now);
}

function tooLong(apdu: Buffer): void {
  if (apdu.length > SMALL_LIMITS.apduBytesMax)
    throw new TypeError("more than the limit allows was put together");
}

function runBlocks(octets: Buffer): void {
  const blocks = new ReceivedBlocks(SMALL_LIMITS);
  const around = { framing: "wrapper", sourceAddress: 1, destinationAddress: 16, octets: 0 } as const;
  let now = 0;
  for (const record of records(octets)) {
    const taken = blocks.take({ ...around, apdu: Buffer.concat([Buffer.of(0xe0), record]) }, ++now);
    if (taken.kind !== "complete") continue;
    tooLong(taken.value.apdu);
    openEnvelope(taken.value.apdu, LIMITS);
  }
}

/** What is read can be written, and read again; passing over it ends at the same octet. */
function runData(octets: Buffer): void {
  const reader = new Reader(octets);
  const data = readData(reader, LIMITS);
  const passing = new Reader(octets);
  skipData(passing, LIMITS);
  if (passing.offset !== reader.offset) throw new TypeError("passing over it ends elsewhere");
  const writer = new Writer();
  writeData(writer, data);
  readData(new Reader(writer.finish()), { ...LIMITS, elementsMax: 2 * LIMITS.elementsMax });
}

function runProtection(octets: Buffer): void {
  const [mode = 0] = octets;
  const content = octets.subarray(1);
  if (mode % 4 === 0) unprotect(content, TITLE, KEYS);
  else if (mode % 4 === 1) verifyGmac(content.subarray(0, 17), content.subarray(17), TITLE, KEYS);
  else if (mode % 4 === 2) unwrapKey(key(3), content);
  else runProtected(content);
}

/** As a meter would protect it; then any octet that is changed must be noticed. */
function runProtected(content: Buffer): void {
  if (content.length < 7) return;
  const header = { control: content[0]!, counter: content.readUInt32BE(1) };
  const message = protect(content.subarray(7), header, TITLE, KEYS);
  const { plaintext, verified } = unprotect(message, TITLE, KEYS);
  if (!plaintext.equals(content.subarray(7))) throw new TypeError("what was protected comes out changed");
  const changed = content.readUInt16BE(5) % message.length;
  message[changed]! ^= 1;
  let accepted = false;
  try {
    accepted = verified && unprotect(message, TITLE, KEYS).verified;
  } catch {
    // It was noticed.
  }
  if (accepted) throw new TypeError("a changed octet was accepted");
  openEnvelope(plaintext, LIMITS);
}

const configuration = configureMapping(recordsOfCatalogue(loadCatalogue()));
const METER_TYPES = ["D1", "D2", "D3", "IDIS", "DSMR"].map((category) => ({
  id: `meter of ${category}`,
  meterType: category,
  category,
}));
const ZONE = zoneRule("Asia/Kolkata", "standard");
let lists = new CaptureLists(configuration);
let uses = 0;

/** From an APDU in clear to rows, as the ingest does it. */
function runNotification(octets: Buffer): void {
  // What a meter described of itself is remembered; a run must not depend on thousands before it.
  if (uses++ % 1_000 === 0) lists = new CaptureLists(configuration);
  const meter = METER_TYPES[octets[0]! % METER_TYPES.length];
  const apdu = octets.subarray(1);
  if (apdu.length === 0) return;
  const scope = meter === undefined ? lists.forAnybody() : lists.for(meter);
  const { push, time } = readNotification(apdu, scope, LIMITS);
  if (push.list === null) return;
  const { meterType: name, category } = meter ?? METER_TYPES[0]!;
  const plan = planOf(push.list, { name, category }, configuration);
  if (plan.unknown.length > 0) return;
  const receivedAtMs = Date.UTC(2026, 10, 1);
  const notifiedAtMs = time === null ? null : toEpochMs(time, ZONE);
  mapPush(push, plan, { meterId: "m", zone: ZONE, origin: "push", receivedAtMs, notifiedAtMs });
}

const withPrefix = (prefix: Buffer, octets: readonly Buffer[]) =>
  octets.map((each) => Buffer.concat([prefix, each]));

/** Control with the bit of the last block, number, number acknowledged, length, octets. */
const blockOf = (number: number, length: number, last: boolean) =>
  Buffer.concat([Buffer.of(last ? 0x80 : 0, 0, number, 0, 0, length), Buffer.alloc(length)]);
const BLOCK_SEEDS = [
  asRecords([Buffer.from("40000100000301000f", "hex"), Buffer.from("80000200000401020304", "hex")]),
  asRecords([Buffer.from("c00001000003010203", "hex")]),
  asRecords([blockOf(1, 60, false), blockOf(2, 3, false), blockOf(3, 1, true)]),
];
const HDLC_SEEDS = [
  asRecords([Buffer.from("00030313e6e7000f00000001000204", "hex")]),
  asRecords([Buffer.from("080303130f0000", "hex"), Buffer.from("000303130100020312", "hex")]),
];

export const TARGETS: readonly Target[] = [
  {
    name: "stream",
    seeds: [...withPrefix(Buffer.of(0, 0), recordedStreams()), ARRAYS_OF_NOTHING],
    run: runStream,
  },
  { name: "hdlc", seeds: HDLC_SEEDS, run: runHdlc },
  { name: "blocks", seeds: BLOCK_SEEDS, run: runBlocks },
  { name: "data", seeds: recordedNotifications().map((apdu) => apdu.subarray(18)), run: runData },
  { name: "apdu", seeds: vectorsIn(...APDU_FOLDERS), run: (octets) => void readApdu(octets, LIMITS) },
  {
    name: "acse",
    seeds: vectorsIn("association").filter((octets) => isAcseTag(octets[0]!)),
    run: (octets) => void readAcse(octets, LIMITS),
  },
  {
    name: "protection",
    seeds: [
      Buffer.from("0330000000010000c001c100080000010000ff0200", "hex"),
      ...withPrefix(
        Buffer.of(0),
        vectorsIn("envelopes").map((apdu) => apdu.subarray(11)),
      ),
      Buffer.concat([Buffer.of(2), Buffer.alloc(24)]),
      Buffer.concat([Buffer.of(1), Buffer.alloc(33, 0x10)]),
    ],
    run: runProtection,
  },
  {
    name: "notification",
    seeds: withPrefix(Buffer.of(0), [...recordedNotifications(), ...vectorsIn("notifications")]),
    run: runNotification,
  },
  ...ASSOCIATION_TARGETS,
];
