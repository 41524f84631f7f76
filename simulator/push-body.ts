import { Writer } from "../src/dlms/bytes/writer.ts";
import { obisToOctets, parseObis } from "../src/dlms/cosem/obis-code.ts";
import { writeLength } from "../src/dlms/encoding/length.ts";
import type { Capture } from "./capture.ts";
import type { ModelList, PushKind } from "./model.ts";
import { type SentDeviation, writeTime } from "./row-writer.ts";

/** flat: the columns of one row follow the push setup's name. nested: a clock, then an array of rows. */
export type Layout = "flat" | "nested";

/** A push as a meter hands it to its communication: not yet an APDU. */
export interface PushContent {
  readonly kind: PushKind;
  readonly pushSetup: string;
  /** Times of its rows, epoch ms: what identifies what was sent. */
  readonly times: readonly number[];
  /** Event code, for kind "event". */
  readonly eventCode: number | null;
  /** Of its rows: see Sent in ledger.ts. For events the sum of their codes. */
  readonly valueSum: number;
  /** The notification's body: one Data. */
  readonly body: Buffer;
}

/** How one meter writes its bodies. */
export interface BodyStyle {
  readonly layout: Layout;
  readonly deviation: SentDeviation;
  /** The device id as text (visible-string) or as octets. */
  readonly deviceIdType: "visible-string" | "octet-string";
}

const STRUCTURE = 0x02;
const ARRAY = 0x01;

function writeHead(
  writer: Writer,
  count: number,
  deviceId: string,
  pushSetup: string,
  style: BodyStyle,
): void {
  writer.unsigned8(STRUCTURE);
  writeLength(writer, count);
  writer.unsigned8(style.deviceIdType === "visible-string" ? 0x0a : 0x09);
  writeLength(writer, deviceId.length);
  writer.octets(Buffer.from(deviceId, "latin1"));
  writer.unsigned8(0x09);
  writer.unsigned8(6);
  writer.octets(obisToOctets(parseObis(pushSetup)));
}

/** The columns of one row, without the structure around them. */
export function writeCells(
  writer: Writer,
  list: ModelList,
  capture: Capture,
  deviation: SentDeviation,
): void {
  for (const cell of list.cells) cell(writer, capture, deviation);
}

/** structure { device id, push setup, clock, column, column, … } */
export function flatBody(list: ModelList, capture: Capture, style: BodyStyle): Buffer {
  const writer = new Writer(64 + list.cells.length * 14);
  writeHead(writer, 2 + list.cells.length, capture.identity.deviceId, list.pushSetup, style);
  writeCells(writer, list, capture, style.deviation);
  return writer.finish();
}

/** A row on its own, as structure: what a nested body carries. */
export function rowOf(list: ModelList, capture: Capture, deviation: SentDeviation): Buffer {
  const writer = new Writer(8 + list.cells.length * 14);
  writer.unsigned8(STRUCTURE);
  writeLength(writer, list.cells.length);
  writeCells(writer, list, capture, deviation);
  return writer.finish();
}

/** structure { device id, push setup, clock, array { row, … } } */
export function nestedBody(
  list: ModelList,
  deviceId: string,
  rows: readonly Buffer[],
  clockMs: number,
  style: BodyStyle,
): Buffer {
  const writer = new Writer(64 + rows.reduce((sum, row) => sum + row.length, 0));
  writeHead(writer, 4, deviceId, list.pushSetup, style);
  writeTime(writer, clockMs, style.deviation);
  writer.unsigned8(ARRAY);
  writeLength(writer, rows.length);
  for (const row of rows) writer.octets(row);
  return writer.finish();
}
