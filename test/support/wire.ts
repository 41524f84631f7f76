import { createCipheriv } from "node:crypto";

/*
 * Octets laid out by hand: A-XDR, ciphering and wrapper as the standard has them, made without anything of src/. What these
 * build is what the product must read; nothing here may be "mended" from the product.
 */

const octet = (value: number) => (value & 0xff).toString(16).padStart(2, "0");
const big = (value: number, octets: number) =>
  Array.from({ length: octets }, (_, i) => octet(Math.floor(value / 256 ** (octets - 1 - i)))).join("");
const signed = (value: number, octets: number) => big(value < 0 ? value + 256 ** octets : value, octets);
/** A length or count: one octet up to 127, else 81 and one, or 82 and two. */
const length = (count: number) =>
  count < 0x80 ? octet(count) : count < 0x100 ? `81${octet(count)}` : `82${big(count, 2)}`;

export const u8 = (value: number) => `11${octet(value)}`;
export const u16 = (value: number) => `12${big(value, 2)}`;
export const i16 = (value: number) => `10${signed(value, 2)}`;
export const u32 = (value: number) => `06${big(value, 4)}`;
export const i32 = (value: number) => `05${signed(value, 4)}`;
export const bool = (value: boolean) => `03${value ? "ff" : "00"}`;
export const text = (value: string) =>
  `0a${length(value.length)}${Buffer.from(value, "latin1").toString("hex")}`;
export const octets = (hex: string) => `09${length(hex.length / 2)}${hex}`;
export const bits = (hex: string) => `04${length(hex.length * 4)}${hex}`;
export const structure = (...elements: string[]) => `02${length(elements.length)}${elements.join("")}`;
export const array = (...elements: string[]) => `01${length(elements.length)}${elements.join("")}`;
/** `a.b.c.d.e.f` as octet-string(6). */
export const obis = (code: string) => octets(code.split(".").map(Number).map(octet).join(""));

/** Local time of the meter as octet-string(12): deviation FEB6 is −330 minutes, UTC − local of India. */
export function clock(year: number, month: number, day: number, hour: number, minute: number): string {
  return octets(`${big(year, 2)}${octet(month)}${octet(day)}ff${octet(hour)}${octet(minute)}0000feb600`);
}

/** Data-Notification without a time. */
export const notification = (invokeId: number, body: string) =>
  Buffer.from(`0f${big(invokeId, 4)}00${body}`, "hex");

export interface WireKeys {
  readonly systemTitle: Buffer;
  readonly guek: Buffer;
  readonly gak: Buffer;
}

/** general-glo-ciphering, suite 0: control 20 has no tag, 30 one of twelve octets. */
export function ciphered(plain: Buffer, control: 0x20 | 0x30, counter: number, keys: WireKeys): Buffer {
  const count = Buffer.alloc(4);
  count.writeUInt32BE(counter);
  const gcm = createCipheriv("aes-128-gcm", keys.guek, Buffer.concat([keys.systemTitle, count]), {
    authTagLength: 12,
  });
  if (control === 0x30) gcm.setAAD(Buffer.concat([Buffer.from([control]), keys.gak]));
  const content = Buffer.concat([gcm.update(plain), gcm.final()]);
  const tag = control === 0x30 ? gcm.getAuthTag() : Buffer.alloc(0);
  const inner = Buffer.concat([Buffer.from([control]), count, content, tag]);
  const head = Buffer.from(`db08${keys.systemTitle.toString("hex")}${length(inner.length)}`, "hex");
  return Buffer.concat([head, inner]);
}

/** Wrapper from a logical device, 1 unless given, to the push client, SAP 64. */
export function wrapped(apdu: Buffer, source = 1): Buffer {
  const header = Buffer.from("0001000000400000", "hex");
  header.writeUInt16BE(source, 2);
  header.writeUInt16BE(apdu.length, 6);
  return Buffer.concat([header, apdu]);
}

/** CRC-16/X.25, bit by bit, least significant octet first: HCS and FCS. */
function frameCheck(octets: Buffer): Buffer {
  let crc = 0xffff;
  for (const octet of octets) {
    crc ^= octet;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x8408 : crc >>> 1;
  }
  const check = Buffer.alloc(2);
  check.writeUInt16LE(~crc & 0xffff);
  return check;
}

/** One HDLC I frame with N(S), N(R) 0, poll: to client SAP 64 (81) from logical device 1 (03), LLC header of a response. */
export function hdlcInformation(apdu: Buffer, sendSequence: number): Buffer {
  const information = Buffer.concat([Buffer.from("e6e700", "hex"), apdu]);
  const head = Buffer.from([0xa0, 0, 0x81, 0x03, 0x10 | (sendSequence << 1)]);
  head.writeUInt16BE(0xa000 | (head.length + 2 + information.length + 2), 0);
  const frame = Buffer.concat([head, frameCheck(head), information]);
  return Buffer.concat([Buffer.from([0x7e]), frame, frameCheck(frame), Buffer.from([0x7e])]);
}
