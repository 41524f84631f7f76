import type { Writer } from "../src/dlms/bytes/writer.ts";
import { type Data, writeData } from "../src/dlms/encoding/data.ts";
import { writeDateTime } from "../src/dlms/encoding/date-time.ts";
import { type Capture, type Source, sourceOf } from "./capture.ts";
import { meterTime, type TimeStyle } from "./local-time.ts";

/** One column of a row: what it is, as what it is sent, and 10^scaler. */
export interface RowColumn {
  readonly code: string;
  readonly attribute: number;
  /** Type in the Blue Book's spelling. */
  readonly dataType: string;
  readonly scaler: number;
  /** See sourceOf; absent: signed. */
  readonly signed?: boolean;
}

/** Writes the value of one column, tag included. */
export type CellWriter = (writer: Writer, capture: Capture, time: TimeStyle) => void;

/** A time as octet-string of twelve octets. */
export function writeTime(writer: Writer, atMs: number | null, style: TimeStyle): void {
  writer.unsigned8(0x09);
  writer.unsigned8(12);
  writer.octets(atMs === null ? Buffer.alloc(12, 0xff) : writeDateTime(meterTime(style, atMs)));
}

/** @throws Error where no simulated meter has such an object, or not as such a type */
export function cellWriter({ code, attribute, dataType, scaler, signed }: RowColumn): CellWriter {
  const source = sourceOf(code, attribute, signed);
  switch (source.kind) {
    case "time":
      return (writer, capture, style) => writeTime(writer, source.of(capture), style);
    case "flag":
      return (writer, capture) => writeData(writer, { type: "boolean", value: source.of(capture) });
    case "text":
      return (writer, capture) => writeData(writer, { type: "visible-string", value: source.of(capture) });
    case "bits":
      return (writer, capture) => {
        const octets = source.of(capture);
        writeData(writer, { type: "bit-string", value: { length: octets.length * 8, octets } });
      };
    default:
      return numberWriter(source, dataType, scaler);
  }
}

/** Largest and smallest value of each integer type: what does not fit stands still there, as in a meter. */
const RANGES: Readonly<Record<string, readonly [from: number, to: number]>> = {
  unsigned: [0, 0xff],
  long: [-0x8000, 0x7fff],
  "long-unsigned": [0, 0xffff],
  "double-long": [-0x8000_0000, 0x7fff_ffff],
  "double-long-unsigned": [0, 0xffff_ffff],
};

function numberWriter(source: Source & { kind: "number" }, dataType: string, scaler: number): CellWriter {
  if (dataType === "float32") {
    return (writer, capture) => writeData(writer, { type: "float32", value: source.of(capture) });
  }
  const raw = integerOf(source, dataType, scaler);
  return (writer, capture) => writeData(writer, { type: dataType, value: raw(capture) } as Data);
}

function integerOf(
  source: Source & { kind: "number" },
  dataType: string,
  scaler: number,
): (capture: Capture) => number {
  const range = RANGES[dataType];
  if (range === undefined) throw new Error(`simulated meters send no ${dataType}`);
  const [from, to] = range;
  const factor = 10 ** Math.abs(scaler);
  return (capture) => {
    const value = source.of(capture);
    // A register shows what it has passed, a measurement what is nearest.
    const raw = scaler > 0 ? Math.floor(value / factor) : Math.round(value * factor);
    return Math.max(from, Math.min(to, raw));
  };
}

/** The number that a column is sent with, in SI units: after rounding to what its type and scaler can say. */
export function sentValue({
  code,
  attribute,
  dataType,
  scaler,
  signed,
}: RowColumn): (capture: Capture) => number {
  const source = sourceOf(code, attribute, signed);
  if (source.kind !== "number") throw new Error(`${code} attribute ${attribute} is no number`);
  const raw = integerOf(source, dataType, scaler);
  return scaler < 0 ? (capture) => raw(capture) / 10 ** -scaler : (capture) => raw(capture) * 10 ** scaler;
}
