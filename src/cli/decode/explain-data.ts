import { Reader } from "../../dlms/bytes/reader.ts";
import type { DataLimits } from "../../dlms/encoding/data.ts";
import { readData } from "../../dlms/encoding/data.ts";
import { isCompound } from "../../dlms/encoding/data-tree.ts";
import { readLength } from "../../dlms/encoding/length.ts";
import type { Label } from "./explain-lines.ts";
import { dataText } from "./tree.ts";

const COMPACT_ARRAY = 0x13;

/** One label for each value of a Data that has been read before: tag, length and content together. */
export function dataLabels(octets: Buffer, from: number, limits: DataLimits, depth: number): Label[] {
  const labels: Label[] = [];
  const reader = new Reader(octets, from);
  addData(reader, limits, depth, labels);
  return labels;
}

function addData(reader: Reader, limits: DataLimits, depth: number, labels: Label[]): void {
  const from = reader.offset;
  const tag = reader.peek();
  if (tag === COMPACT_ARRAY) {
    const data = readData(reader, limits);
    const rows = isCompound(data) ? data.value.length : 0;
    labels.push({ from, to: reader.offset, depth, text: `compact-array of ${rows}` });
    return;
  }
  if (tag !== 0x01 && tag !== 0x02) {
    const data = readData(reader, limits);
    if (!isCompound(data)) labels.push({ from, to: reader.offset, depth, text: dataText(data) });
    return;
  }
  reader.advance(1);
  const count = readLength(reader);
  const type = tag === 0x01 ? "array" : "structure";
  labels.push({ from, to: reader.offset, depth, text: `${type} of ${count}` });
  for (let i = 0; i < count; i++) addData(reader, limits, depth + 1, labels);
}
