import { DecodeError } from "../dlms/bytes/errors.ts";
import { Reader } from "../dlms/bytes/reader.ts";
import { Writer } from "../dlms/bytes/writer.ts";
import type { CounterMove, QuarantineReason } from "../storage/accepted-push.ts";
import { counterName } from "../storage/counter-name.ts";
import type { Acceptance, Protection } from "./accepted.ts";
import type { LoggedFrame } from "./logged-counters.ts";

/*
 * A push in the durable log: what was received, and the verdict on it, in one record. Numbers big-endian, texts UTF-8 behind their length.
 *
 *     version 1 · flags 1 · received at 8 (IEEE 754, ms since 1970) · meter id 1+n · client SAP 2 · server SAP 2 · framing 1+n · peer 1+n
 *     flag 01, protected:     key id 4 · originator 1+n · security control 1 · counter 4 · digest 16
 *     flag 08, set aside:     reason 1+n · text 2+n
 *     flag 10, by a gateway:  name 1+n
 *     the APDU as it was received, to the end
 *
 * Flag 02: the tag was checked. Flag 04: the counter moved. No key and nothing deciphered is ever in it.
 */
const VERSION = 1;
const PROTECTED = 0x01;
const VERIFIED = 0x02;
const MOVED = 0x04;
const SET_ASIDE = 0x08;
const BY_GATEWAY = 0x10;
const DIGEST_OCTETS = 16;
/** Behind version, flags and time. */
const AT_METER = 10;
/** What one octet, and two, can say the length of; longer texts are cut. */
const SHORT_MAX = 0xff;
const LONG_MAX = 0xffff;

/** Used again for each record: room for all but the longest APDUs. */
const writer = new Writer(4_096);

export function writeAcceptedRecord({ arrival, meterId, protection, counter, setAside }: Acceptance): Buffer {
  writer.truncate(0);
  const { behindGateway } = arrival;
  writer.unsigned8(VERSION);
  writer.unsigned8(
    (protection === null ? 0 : PROTECTED) |
      (protection?.verified === true ? VERIFIED : 0) |
      (counter === null ? 0 : MOVED) |
      (setAside === null ? 0 : SET_ASIDE) |
      (behindGateway === undefined ? 0 : BY_GATEWAY),
  );
  writer.float64(arrival.receivedAtMs);
  writeShort(meterId);
  writer.unsigned16(arrival.clientSap);
  writer.unsigned16(arrival.serverSap);
  writeShort(arrival.framing);
  writeShort(arrival.peer);
  if (protection !== null) {
    writer.unsigned32(protection.name.keyId);
    writeShort(protection.name.systemTitle);
    writer.unsigned8(protection.control);
    writer.unsigned32(protection.counter);
    writer.latin1(protection.digest);
  }
  if (setAside !== null) {
    writeShort(setAside.reason);
    const text = Buffer.from(setAside.text).subarray(0, LONG_MAX);
    writer.unsigned16(text.length);
    writer.octets(text);
  }
  if (behindGateway !== undefined) writeShort(behindGateway);
  writer.octets(arrival.apdu);
  return writer.finish();
}

function writeShort(text: string): void {
  const at = writer.length;
  writer.unsigned8(0);
  const octets = writer.text(text);
  if (octets > SHORT_MAX) writer.truncate(at + 1 + SHORT_MAX);
  writer.patch8(at, Math.min(octets, SHORT_MAX));
}

/** Throws DecodeError for what no version of this daemon has written. */
export function readAcceptedRecord(octets: Buffer): Acceptance {
  const reader = new Reader(octets);
  const version = reader.unsigned8();
  if (version !== VERSION) throw new DecodeError("invalid", 0, `a record of version ${version}`);
  const flags = reader.unsigned8();
  const receivedAtMs = reader.float64();
  const meterId = readText(reader, reader.unsigned8());
  const clientSap = reader.unsigned16();
  const serverSap = reader.unsigned16();
  const framing = readText(reader, reader.unsigned8());
  const peer = readText(reader, reader.unsigned8());
  const protection = flags & PROTECTED ? readProtection(reader, clientSap, (flags & VERIFIED) !== 0) : null;
  const setAside = flags & SET_ASIDE ? readReason(reader) : null;
  const gateway = flags & BY_GATEWAY ? { behindGateway: readText(reader, reader.unsigned8()) } : {};
  const apdu = octets.subarray(reader.offset);
  const arrival = {
    ...{ framing, apdu, clientSap, serverSap, peer, receivedAtMs, ...gateway },
    ...{ lastMeter: null, counterRule: "kept" as const },
  };
  const counter = protection !== null && (flags & MOVED) !== 0 ? moveOf(meterId, protection) : null;
  return { arrival, meterId, protection, counter, setAside };
}

/**
 * Of a record only what it says of a counter, as `loggedFrame`: a daemon that starts reads this of everything that an outage left in its log, and
 * meters wait for it. Throws as `readAcceptedRecord`.
 */
export function readLoggedFrame(octets: Buffer): LoggedFrame | null {
  try {
    const version = octets.readUInt8(0);
    if (version !== VERSION) throw new DecodeError("invalid", 0, `a record of version ${version}`);
    const flags = octets.readUInt8(1);
    if ((flags & PROTECTED) === 0) return null;
    const afterMeter = AT_METER + 1 + octets.readUInt8(AT_METER);
    const clientSap = octets.readUInt16BE(afterMeter);
    const afterFraming = afterMeter + 5 + octets.readUInt8(afterMeter + 4);
    const at = afterFraming + 1 + octets.readUInt8(afterFraming);
    const titleFrom = at + 5;
    const titleTo = titleFrom + octets.readUInt8(at + 4);
    const digestFrom = titleTo + 5;
    if (octets.length < digestFrom + DIGEST_OCTETS) throw new RangeError("no whole digest");
    const title = octets.toString("latin1", titleFrom, titleTo);
    return {
      name: counterName(octets.readUInt32BE(at), title, clientSap),
      counter: octets.readUInt32BE(titleTo + 1),
      digest: octets.toString("latin1", digestFrom, digestFrom + DIGEST_OCTETS),
      moved: (flags & MOVED) !== 0,
    };
  } catch (error) {
    if (error instanceof RangeError) throw new DecodeError("truncated", octets.length, "a record ends early");
    throw error;
  }
}

/** What the record says of a counter; null where nothing protected the push. */
export function loggedFrame({ protection, counter: move }: Acceptance): LoggedFrame | null {
  if (protection === null) return null;
  const { name, counter, digest } = protection;
  return { name, counter, digest, moved: move !== null };
}

function moveOf(meterId: string, { name, counter, digest }: Protection): CounterMove {
  return { meterId, name, counter, digest, isFinal: true };
}

function readProtection(reader: Reader, clientSap: number, verified: boolean): Protection {
  const keyId = reader.unsigned32();
  const systemTitle = readText(reader, reader.unsigned8());
  const control = reader.unsigned8();
  const counter = reader.unsigned32();
  const at = reader.advance(DIGEST_OCTETS);
  const digest = reader.buffer.toString("latin1", at, at + DIGEST_OCTETS);
  return { name: counterName(keyId, systemTitle, clientSap), control, counter, verified, digest };
}

function readReason(reader: Reader): QuarantineReason {
  const reason = readText(reader, reader.unsigned8());
  return { reason, text: readText(reader, reader.unsigned16()) };
}

function readText(reader: Reader, octets: number): string {
  const at = reader.advance(octets);
  return reader.buffer.toString("utf8", at, at + octets);
}
