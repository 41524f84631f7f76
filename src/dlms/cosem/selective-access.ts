import type { Data } from "../encoding/data-types.ts";
import type { CosemDateTime } from "../encoding/date-time.ts";
import type { SelectiveAccessDescriptor } from "./attribute-descriptor.ts";
import type { CaptureObjectDefinition } from "./capture-object.ts";
import {
  anyData,
  type DataCodec,
  DataMismatch,
  doubleLongUnsigned,
  longUnsigned,
} from "./classes/data-codec.ts";
import { dateTime } from "./classes/data-strings.ts";
import { array, structure } from "./classes/data-structures.ts";
import { captureObjectDefinition } from "./classes/shared-definitions.ts";
import { obisOf } from "./obis-code.ts";

/**
 * Which rows and columns of a profile's buffer are read (Blue Book, profile generic, parameters of selective access):
 *
 *     selector 1  range_descriptor  structure of 4: restricting object, from, to, columns; both ends belong to it
 *     selector 2  entry_descriptor  structure of 4: first and last row, first and last column, from 1; 0: up to the last
 *
 * Example: 01, 02 04 { 02 04 12 0008 09 06 0000010000FF 0F 02 12 0000, 09 0C …, 09 0C …, 01 00 } is all columns of the rows between two times.
 */
export const RANGE = 1;
export const ENTRY = 2;

export interface RangeDescriptor {
  readonly kind: "range";
  /** The column that decides, mostly the clock. */
  readonly restrictingObject: CaptureObjectDefinition;
  /** Of the type of the restricting object: a date-time in an octet-string for the clock. */
  readonly fromValue: Data;
  readonly toValue: Data;
  /** Columns in the order of the buffer; empty: all. */
  readonly selectedValues: readonly CaptureObjectDefinition[];
}

export interface EntryDescriptor {
  readonly kind: "entry";
  /** From 1. In a FIFO buffer the oldest row is the first. */
  readonly fromEntry: number;
  /** 0: the last. */
  readonly toEntry: number;
  /** Columns, from 1. */
  readonly fromSelectedValue: number;
  /** 0: the last. */
  readonly toSelectedValue: number;
}

/** The time of the clock, which restricts ranges of load profiles. */
export const CLOCK_TIME: CaptureObjectDefinition = {
  classId: 8,
  logicalName: obisOf(0, 0, 1, 0, 0, 255),
  attributeIndex: 2,
  dataIndex: 0,
};

const rangeFields: DataCodec<Omit<RangeDescriptor, "kind">> = structure({
  restrictingObject: captureObjectDefinition,
  fromValue: anyData,
  toValue: anyData,
  selectedValues: array(captureObjectDefinition) as DataCodec<readonly CaptureObjectDefinition[]>,
});

const entryFields: DataCodec<Omit<EntryDescriptor, "kind">> = structure({
  fromEntry: doubleLongUnsigned,
  toEntry: doubleLongUnsigned,
  fromSelectedValue: longUnsigned,
  toSelectedValue: longUnsigned,
});

/** Rows whose clock is between two times, both included. */
export function rowsBetween(
  from: CosemDateTime,
  to: CosemDateTime,
  selectedValues: readonly CaptureObjectDefinition[] = [],
): SelectiveAccessDescriptor {
  return writeSelection({
    kind: "range",
    restrictingObject: CLOCK_TIME,
    fromValue: dateTime.write(from),
    toValue: dateTime.write(to),
    selectedValues,
  });
}

/** Rows by their place, from 1, with all columns; `to` 0: up to the last. */
export function entriesFromTo(from: number, to: number): SelectiveAccessDescriptor {
  return writeSelection({
    kind: "entry",
    fromEntry: from,
    toEntry: to,
    fromSelectedValue: 1,
    toSelectedValue: 0,
  });
}

/** @throws DataMismatch for numbers that their types can't hold */
export function writeSelection(selection: RangeDescriptor | EntryDescriptor): SelectiveAccessDescriptor {
  return selection.kind === "range"
    ? { selector: RANGE, parameters: rangeFields.write(selection) }
    : { selector: ENTRY, parameters: entryFields.write(selection) };
}

/** @throws DataMismatch for another selector, or parameters that are none */
export function readSelection({
  selector,
  parameters,
}: SelectiveAccessDescriptor): RangeDescriptor | EntryDescriptor {
  if (selector === RANGE) return { kind: "range", ...rangeFields.read(parameters) };
  if (selector === ENTRY) return { kind: "entry", ...entryFields.read(parameters) };
  throw new DataMismatch(`selector ${selector} is none of a profile: 1 is by range, 2 by entry`);
}

/**
 * Places, from 0, of the columns that are selected among `columns` of them. Columns that a profile doesn't have are not among them; an entry
 * descriptor that starts behind the last column selects none.
 */
export function selectedColumns(
  captureObjects: readonly CaptureObjectDefinition[],
  selection: RangeDescriptor | EntryDescriptor | null,
): number[] {
  const all = captureObjects.map((_, column) => column);
  if (selection === null) return all;
  if (selection.kind === "entry") {
    const { fromSelectedValue: from, toSelectedValue: to } = selection;
    return all.slice(Math.max(from, 1) - 1, to === 0 ? undefined : to);
  }
  if (selection.selectedValues.length === 0) return all;
  return all.filter((column) =>
    selection.selectedValues.some((one) => isSameCaptureObject(one, captureObjects[column]!)),
  );
}

export function isSameCaptureObject(one: CaptureObjectDefinition, other: CaptureObjectDefinition): boolean {
  return (
    one.classId === other.classId &&
    one.logicalName === other.logicalName &&
    one.attributeIndex === other.attributeIndex &&
    one.dataIndex === other.dataIndex
  );
}
