import { Writer } from "../src/dlms/bytes/writer.ts";
import { obisToOctets, parseObis } from "../src/dlms/cosem/obis-code.ts";
import { type Data, writeData } from "../src/dlms/encoding/data.ts";
import { writeLength } from "../src/dlms/encoding/length.ts";
import type { Capture } from "./capture.ts";
import type { TimeStyle } from "./local-time.ts";
import type { ModelColumn, ModelList, PushKind } from "./model.ts";
import { owned } from "./owned.ts";
import { writeTime } from "./row-writer.ts";

/**
 * flat: the columns of one row follow the push setup's name. nested: a clock, then an array of rows. object-list: the push object list, then
 * the logical device name, a clock, and values or the buffer of a profile.
 */
export type Layout = "flat" | "nested" | "object-list";

/** A push as a meter hands it to its communication: not yet an APDU. */
export interface PushContent {
  readonly kind: PushKind;
  readonly pushSetup: string;
  /** Times of its rows, epoch ms: what identifies what was sent. None where it only adds to a row that was sent. */
  readonly times: readonly number[];
  /** Event code, for kind "event". */
  readonly eventCode: number | null;
  /** Of its rows: see Sent in ledger.ts. For events the sum of their codes. */
  readonly valueSum: number;
  /** The notification's body: one Data. */
  readonly body: Buffer;
  /** The notification's own time, null: without; absent: as the meter does with all. */
  readonly notifiedAtMs?: number | null;
}

/** One that is kept for a while before it is sent. */
export const kept = (push: PushContent): PushContent => ({ ...push, body: owned(push.body) });

/** How one meter writes its bodies. */
export interface BodyStyle {
  readonly layout: Layout;
  readonly time: TimeStyle;
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
export function writeCells(writer: Writer, list: ModelList, capture: Capture, time: TimeStyle): void {
  for (const cell of list.cells) cell(writer, capture, time);
}

/** Present values, or one row. */
export function presentBody(list: ModelList, capture: Capture, style: BodyStyle): Buffer {
  return style.layout === "object-list"
    ? objectListBody(list, capture, style, null)
    : flatBody(list, capture, style);
}

/** Rows of a profile. */
export function rowsBody(
  list: ModelList,
  capture: Capture,
  rows: readonly Buffer[],
  style: BodyStyle,
): Buffer {
  return style.layout === "object-list"
    ? objectListBody(list, capture, style, rows)
    : nestedBody(list, capture.identity.deviceId, rows, capture.atMs, style);
}

/** structure { device id, push setup, clock, column, column, … } */
export function flatBody(list: ModelList, capture: Capture, style: BodyStyle): Buffer {
  const writer = new Writer(64 + list.cells.length * 14);
  writeHead(writer, 2 + list.cells.length, capture.identity.deviceId, list.pushSetup, style);
  writeCells(writer, list, capture, style.time);
  return writer.finish();
}

/** A row on its own, as structure: what a nested body carries. */
export function rowOf(list: ModelList, capture: Capture, time: TimeStyle): Buffer {
  const writer = new Writer(8 + list.cells.length * 14);
  writer.unsigned8(STRUCTURE);
  writeLength(writer, list.cells.length);
  writeCells(writer, list, capture, time);
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
  writeTime(writer, clockMs, style.time);
  writer.unsigned8(ARRAY);
  writeLength(writer, rows.length);
  for (const row of rows) writer.octets(row);
  return writer.finish();
}

const DEVICE_NAME = { classId: 1, code: "0.0.42.0.0.255", attribute: 2 };
const CLOCK = { classId: 8, code: "0.0.1.0.0.255", attribute: 2 };
const BUFFER = 2;

/** What a push of this list names: itself, the meter, the time, and the values or the profile. */
export function pushObjects(list: ModelList): readonly PushedObject[] {
  const itself = { classId: 40, code: list.pushSetup, attribute: 2 };
  const contents =
    list.profile === null ? list.columns : [{ classId: 7, code: list.profile, attribute: BUFFER }];
  return [itself, DEVICE_NAME, CLOCK, ...contents];
}

export type PushedObject = Pick<ModelColumn, "classId" | "code" | "attribute">;

/** structure { push object list, logical device name, clock, array { row, … } or value, value, … } */
function objectListBody(
  list: ModelList,
  capture: Capture,
  style: BodyStyle,
  rows: readonly Buffer[] | null,
): Buffer {
  const objects = pushObjects(list);
  const writer = new Writer(256 + (rows ?? []).reduce((sum, row) => sum + row.length, 0));
  writer.unsigned8(STRUCTURE);
  writeLength(writer, objects.length);
  writeData(writer, { type: "array", value: objects.map(pushObject) });
  writeData(writer, {
    type: "octet-string",
    value: Buffer.from(capture.identity.logicalDeviceName, "latin1"),
  });
  writeTime(writer, capture.atMs, style.time);
  if (rows === null) {
    writeCells(writer, list, capture, style.time);
  } else {
    writer.unsigned8(ARRAY);
    writeLength(writer, rows.length);
    for (const row of rows) writer.octets(row);
  }
  return writer.finish();
}

function pushObject({ classId, code, attribute }: PushedObject): Data {
  return {
    type: "structure",
    value: [
      { type: "long-unsigned", value: classId },
      { type: "octet-string", value: obisToOctets(parseObis(code)) },
      { type: "integer", value: attribute },
      { type: "long-unsigned", value: 0 },
    ],
  };
}
