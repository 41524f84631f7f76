import { Writer } from "../../src/dlms/bytes/writer.ts";
import type { SelectiveAccessDescriptor } from "../../src/dlms/cosem/attribute-descriptor.ts";
import { profileGeneric } from "../../src/dlms/cosem/classes/profile-generic.ts";
import { formatObis } from "../../src/dlms/cosem/obis-code.ts";
import { clockColumnOf } from "../../src/dlms/cosem/profile-buffer.ts";
import {
  type EntryDescriptor,
  type RangeDescriptor,
  readSelection,
  selectedColumns,
} from "../../src/dlms/cosem/selective-access.ts";
import type { Data } from "../../src/dlms/encoding/data-types.ts";
import { DATE_TIME_OCTETS, readEpochMs, type ZoneRule } from "../../src/dlms/encoding/date-time.ts";
import { writeLength } from "../../src/dlms/encoding/length.ts";
import { INDIA, zoneRuleOf } from "../local-time.ts";
import type { SimulatedMeter } from "../meter.ts";
import type { DeviceProfile } from "./device-model.ts";

interface Row {
  readonly atMs: number;
  readonly octets: Buffer;
}

/**
 * Rows of a profile as a client reads them, from what the meter recalls of its life up to `nowMs`.
 * @throws DataMismatch for a selection that is none
 */
export function readBuffer(
  meter: SimulatedMeter,
  profile: DeviceProfile,
  selection: SelectiveAccessDescriptor | null,
  nowMs: number,
): Buffer {
  const wanted = selection === null ? null : readSelection(selection);
  const columns = columnsOf(profile, wanted);
  const zone = zoneRuleOf(meter.plan.style.time);
  const range = wanted?.kind === "range" ? spanOf(wanted, zone) : null;
  const rows = rowsOf(meter, profile, columns, nowMs).filter(
    ({ atMs }) => range === null || (atMs >= range.fromMs && atMs <= range.toMs),
  );
  const kept = rows.slice(-profile.entries);
  return encode(wanted?.kind === "entry" ? entriesOf(kept, wanted) : kept);
}

/** How many rows it holds. */
export function entriesInUse(meter: SimulatedMeter, profile: DeviceProfile, nowMs: number): number {
  return Math.min(profile.entries, rowsOf(meter, profile, [], nowMs).length);
}

function rowsOf(
  meter: SimulatedMeter,
  profile: DeviceProfile,
  columns: readonly number[],
  nowMs: number,
): Row[] {
  const { list, kind, present } = profile;
  const { time } = meter.plan.style;
  const rowOf = (capture: Parameters<Parameters<SimulatedMeter["recall"]>[1]>[2]): Row => {
    const writer = new Writer(16 + columns.length * 14);
    writer.unsigned8(STRUCTURE);
    writeLength(writer, columns.length);
    for (const column of columns) list.cells[column]!(writer, capture, time);
    return { atMs: capture.atMs, octets: writer.finish() };
  };
  if (present) return [rowOf(meter.present(nowMs))];
  const rows: Row[] = [];
  meter.recall(nowMs, (rowKind, rowList, capture) => {
    if (rowKind === kind && rowList === list) rows.push(rowOf(capture));
  });
  return rows;
}

const STRUCTURE = 0x02;
const ARRAY = 0x01;

function encode(rows: readonly Row[]): Buffer {
  const writer = new Writer(16);
  writer.unsigned8(ARRAY);
  writeLength(writer, rows.length);
  return Buffer.concat([writer.finish(), ...rows.map(({ octets }) => octets)]);
}

/** Places of the columns that are asked for. */
function columnsOf({ list }: DeviceProfile, wanted: RangeDescriptor | EntryDescriptor | null): number[] {
  const all = list.columns.map((_, index) => index);
  if (wanted === null) return all;
  if (wanted.kind === "entry") {
    const to = wanted.toSelectedValue === 0 ? all.length : wanted.toSelectedValue;
    return all.slice(Math.max(1, wanted.fromSelectedValue) - 1, to);
  }
  if (wanted.selectedValues.length === 0) return all;
  return all.filter((index) => {
    const { classId, code, attribute } = list.columns[index]!;
    return wanted.selectedValues.some(
      (one) =>
        one.classId === classId && one.attributeIndex === attribute && formatObis(one.logicalName) === code,
    );
  });
}

/** Entries count from 1, the oldest first. */
function entriesOf<R>(rows: readonly R[], { fromEntry, toEntry }: EntryDescriptor): readonly R[] {
  return rows.slice(Math.max(1, fromEntry) - 1, toEntry === 0 ? undefined : toEntry);
}

function spanOf({ fromValue, toValue }: RangeDescriptor, zone: ZoneRule): { fromMs: number; toMs: number } {
  return { fromMs: instantOf(fromValue, "from", zone), toMs: instantOf(toValue, "to", zone) };
}

/**
 * What a client says the time is, its deviation read in the meter's own sign; without one it is the meter's. Unspecified fields leave that
 * end open.
 */
function instantOf(data: Data, end: "from" | "to", zone: ZoneRule): number {
  const open = end === "from" ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  const { value } = data;
  if (!Buffer.isBuffer(value) || value.length !== DATE_TIME_OCTETS) return open;
  return readEpochMs(value, 0, zone) ?? open;
}

/**
 * Rows of a buffer that is data, as a played meter has it: by entry, and by range where one of the columns is the clock.
 * @throws DataMismatch for a selection that is none
 */
export function selectRows(
  buffer: Data,
  captureObjects: Data | undefined,
  selection: SelectiveAccessDescriptor | null,
): Data {
  if (selection === null || buffer.type !== "array") return buffer;
  const wanted = readSelection(selection);
  const columns = captureObjects === undefined ? [] : CAPTURE_OBJECTS.read(captureObjects);
  const clock = clockColumnOf(columns);
  const range = wanted.kind === "range" ? spanOf(wanted, OWN_ZONE) : null;
  const rows = buffer.value.filter((row) => {
    if (range === null || clock === null || row.type !== "structure") return true;
    const atMs = instantOf(row.value[clock]!, "from", OWN_ZONE);
    return atMs >= range.fromMs && atMs <= range.toMs;
  });
  const kept = wanted.kind === "entry" ? entriesOf(rows, wanted) : rows;
  const places = selectedColumns(columns, wanted);
  return {
    type: "array",
    value: kept.map((row) =>
      row.type === "structure" && columns.length > 0
        ? { type: "structure", value: places.map((place) => row.value[place]!) }
        : row,
    ),
  };
}

const CAPTURE_OBJECTS = profileGeneric.attributes.captureObjects.codec;

const OWN_ZONE: ZoneRule = zoneRuleOf({ zone: INDIA, deviation: "standard" });
