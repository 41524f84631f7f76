import { Writer } from "../../src/dlms/bytes/writer.ts";
import { obisToOctets, parseObis } from "../../src/dlms/cosem/obis-code.ts";
import { UNIT_NONE, unitFromSymbol } from "../../src/dlms/cosem/unit.ts";
import { type Data, writeData } from "../../src/dlms/encoding/data.ts";
import { writeLength } from "../../src/dlms/encoding/length.ts";
import { type Capture, sourceOf } from "../capture.ts";
import type { TimeStyle } from "../local-time.ts";
import { sentValue, writeTime } from "../row-writer.ts";

/** How a maker lays out the values of a list. */
export interface InterfaceBody {
  readonly outer: "array" | "structure";
  /** bare: values without names. flat: code and value in turn. nested: each in a structure of its own. */
  readonly values: "bare" | "flat" | "nested";
  /** Whether numbers are followed by their scaler and unit. */
  readonly scalers: boolean;
  /** Codes of values that have no name although others do. */
  readonly bare: readonly string[];
}

export type Quantity = "power" | "current" | "voltage" | "factor" | "energy";

/** As what numbers are sent, by what is measured. */
export type NumberShapes = Readonly<
  Partial<
    Record<
      Quantity,
      { readonly type: "double-long-unsigned" | "long-unsigned" | "long"; readonly scaler: number }
    >
  >
>;

/** One value of a list. */
export interface InterfaceCell {
  readonly code: string;
  /** null: no number. */
  readonly scaler: number | null;
  readonly unit: number;
  readonly isClock: boolean;
  readonly write: (writer: Writer, capture: Capture, style: TimeStyle) => void;
  /** In SI units, as it is sent; 0 for what is no number. */
  readonly value: (capture: Capture) => number;
}

const CLOCKS: ReadonlySet<string> = new Set(["0.0.1.0.0.255", "0.1.1.0.0.255"]);
const TEXTS: Readonly<Record<string, "version" | "type" | "number" | "name">> = {
  "1.1.0.2.129.255": "version",
  "0.0.96.1.7.255": "type",
  "1.1.96.1.1.255": "type",
  "0.0.96.1.0.255": "number",
  "1.1.0.0.5.255": "number",
  "0.0.42.0.0.255": "name",
};

function quantityOf(code: string): Quantity | null {
  const [, , c = 0, d = 0] = code.split(".").map(Number);
  if (d === 8) return "energy";
  if (d !== 7) return null;
  if (c % 20 === 11) return "current";
  if (c % 20 === 12) return "voltage";
  return c % 20 === 13 ? "factor" : "power";
}

/** @throws Error where no such meter has such an object */
export function interfaceCell(
  code: string,
  unit: string | null,
  how: {
    readonly texts: "visible-string" | "octet-string";
    readonly version: string;
    readonly type: string;
    readonly numbers: NumberShapes;
  },
): InterfaceCell {
  const nothing = { code, scaler: null, unit: UNIT_NONE, value: () => 0 };
  if (CLOCKS.has(code)) {
    const write: InterfaceCell["write"] = (writer, capture, style) => writeTime(writer, capture.atMs, style);
    return { ...nothing, isClock: true, write };
  }
  const text = TEXTS[code];
  if (text !== undefined) {
    const write: InterfaceCell["write"] = (writer, { identity }) => {
      const { deviceId: number, logicalDeviceName: name } = identity;
      writeText(writer, { version: how.version, type: how.type, number, name }[text], how.texts);
    };
    return { ...nothing, isClock: false, write };
  }
  const quantity = quantityOf(code);
  const shape = quantity === null ? undefined : how.numbers[quantity];
  if (shape === undefined) throw new Error(`simulated customer interfaces have no ${code}`);
  // That it is a number, and that there is such a one, is seen here and not when it is sent.
  sourceOf(code, 2, false);
  const value = sentValue({ code, attribute: 2, dataType: shape.type, scaler: shape.scaler, signed: false });
  const raw = (capture: Capture) => Math.round(value(capture) / 10 ** shape.scaler);
  return {
    ...{
      code,
      scaler: shape.scaler,
      unit: (unit === null ? null : unitFromSymbol(unit)) ?? UNIT_NONE,
      value,
    },
    isClock: false,
    write: (writer, capture) => writeData(writer, { type: shape.type, value: raw(capture) }),
  };
}

function writeText(writer: Writer, text: string, type: "visible-string" | "octet-string"): void {
  const data: Data =
    type === "visible-string" ? { type, value: text } : { type, value: Buffer.from(text, "latin1") };
  writeData(writer, data);
}

const STRUCTURE = 0x02;
const ARRAY = 0x01;

/** The body of a notification: one list. */
export function interfaceBody(
  cells: readonly InterfaceCell[],
  layout: InterfaceBody,
  capture: Capture,
  style: TimeStyle,
): Buffer {
  const writer = new Writer(32 + cells.length * 24);
  const shapes = cells.map((cell) => shapeOf(cell, layout));
  writer.unsigned8(layout.outer === "array" ? ARRAY : STRUCTURE);
  writeLength(
    writer,
    shapes.reduce((sum, { outer }) => sum + outer, 0),
  );
  cells.forEach((cell, at) => {
    const { inner, named, scaled } = shapes[at]!;
    if (inner > 0) {
      writer.unsigned8(STRUCTURE);
      writeLength(writer, inner);
    }
    if (named) writeData(writer, { type: "octet-string", value: obisToOctets(parseObis(cell.code)) });
    cell.write(writer, capture, style);
    if (scaled) writeScalerUnit(writer, cell);
  });
  return writer.finish();
}

/** How many elements a value adds to the list, and how many stand in a structure of its own. */
function shapeOf(cell: InterfaceCell, { values, scalers, bare }: InterfaceBody) {
  const named = values !== "bare" && !bare.includes(cell.code);
  const scaled = named && scalers && cell.scaler !== null;
  const parts = 1 + (named ? 1 : 0) + (scaled ? 1 : 0);
  return values === "nested" && named
    ? { outer: 1, inner: parts, named, scaled }
    : { outer: parts, inner: 0, named, scaled };
}

function writeScalerUnit(writer: Writer, { scaler, unit }: InterfaceCell): void {
  writeData(writer, {
    type: "structure",
    value: [
      { type: "integer", value: scaler ?? 0 },
      { type: "enum", value: unit },
    ],
  });
}
