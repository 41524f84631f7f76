import { Reader } from "../dlms/bytes/reader.ts";
import { type PushObject, pushObjectListFromData } from "../dlms/cosem/push-object.ts";
import { type Data, type DataLimits, readData } from "../dlms/encoding/data.ts";
import { readLength } from "../dlms/encoding/length.ts";
import type { DescribedList, ScopedLists } from "./capture-lists.ts";
import { type CapturedColumn, type CapturedPush, capturedColumn, printableText } from "./captured.ts";
import { BUFFER, PROFILE_CLASS, profileRows } from "./layout-profile.ts";

/*
 * A structure whose first element is the push object list itself (class 40, attribute 2) and whose other elements are the values in that
 * order. The list may name itself (class 40) first: then its own value is the list, and structure and list are equally long.
 */

const PUSH_SETUP_CLASS = 40;
const CLOCK_CLASS = 8;
const LIST_ITSELF: Data = { type: "null-data", value: null };

/** The hot path: an object list seen before is recognised by its octets and not decoded again. */
export function readKnownObjectList(
  octets: Buffer,
  from: number,
  lists: ScopedLists,
  limits: DataLimits,
): CapturedPush | null {
  if (octets[from] !== 0x02 || octets[from + 1]! >= 0x80 || octets[from + 2] !== 0x01) return null;
  const described = lists.described(octets, from + 2);
  if (described === undefined) return null;
  const count = octets[from + 1]!;
  const reader = new Reader(octets, from + 2 + described.octets.length);
  const row: Data[] = new Array(count);
  row[0] = LIST_ITSELF;
  for (let i = 1; i < count; i++) {
    const value = readData(reader, limits);
    if (value.type === "array" || value.type === "structure") return null;
    row[i] = value;
  }
  reader.expectEnd();
  return named(described, row);
}

export function recogniseObjectList(
  root: Data,
  lists: ScopedLists,
  octets: Buffer,
  from: number,
  limits: DataLimits,
): CapturedPush | null {
  if (root.type !== "structure" || root.value.length < 2) return null;
  const objects = pushObjectListFromData(root.value[0]!);
  if (objects === null) return null;
  const pushSetup = objects.find((object) => object.classId === PUSH_SETUP_CLASS)?.logicalName ?? null;
  const columns = objects.map(columnOf);
  const described: DescribedList = {
    octets: octetsOfList(octets, from, limits),
    list: lists.ofColumns(columns, lists.kindOf(pushSetup)),
    pushSetup,
  };
  const push = named(described, root.value);
  const ofProfile = push.list === null ? null : profilePush(push, lists);
  if (ofProfile !== null) return ofProfile;
  if (push.list !== null) lists.remember(described);
  return push;
}

/** Where the one value among names and clocks is the buffer of a profile, its rows are what is pushed. */
function profilePush(push: CapturedPush, lists: ScopedLists): CapturedPush | null {
  const [row] = push.rows;
  const columns = push.list!.columns;
  const at = columns.findIndex(({ classId, attribute }) => classId === PROFILE_CLASS && attribute === BUFFER);
  const buffer = row?.[push.first + at];
  if (at < 0 || buffer?.type !== "array") return null;
  const isAbout = ({ classId }: CapturedColumn, index: number) =>
    index === at || classId === PUSH_SETUP_CLASS || classId === CLOCK_CLASS;
  const { identifierColumns } = push.list!;
  if (!columns.every((column, index) => isAbout(column, index) || identifierColumns.includes(index))) {
    return null;
  }
  const clock = columns.findIndex(({ classId, attribute }) => classId === CLOCK_CLASS && attribute === 2);
  return {
    ...push,
    first: 0,
    clock: clock < 0 ? null : (row![push.first + clock] ?? null),
    ...profileRows(columns[at]!.obis, buffer.value, lists),
  };
}

function columnOf(object: PushObject): CapturedColumn {
  return capturedColumn(object.logicalName, object.classId, object.attributeIndex, object.dataIndex);
}

/** The octets of the list, from its tag; copied, because they outlive the body. */
function octetsOfList(octets: Buffer, bodyFrom: number, limits: DataLimits): Buffer {
  const reader = new Reader(octets, bodyFrom + 1);
  readLength(reader);
  const from = reader.offset;
  readData(reader, limits);
  return Buffer.from(octets.subarray(from, reader.offset));
}

function named({ list, pushSetup }: DescribedList, row: readonly Data[]): CapturedPush {
  const columns = list.columns.length;
  const first = row.length === columns ? 0 : 1;
  const identifiers: string[] = [];
  for (const column of list.identifierColumns) {
    const text = printableText(row[first + column]);
    if (text !== null) identifiers.push(text);
  }
  const fits = row.length - first === columns;
  // One literal, not a spread: this is made for every push, and a spread takes longer than all the rest.
  return {
    layout: "push-object-list",
    identifiers,
    pushSetup,
    clock: null,
    list: fits ? list : null,
    first,
    rows: [row],
    problem: fits
      ? null
      : `the push object list names ${columns} objects, ${row.length - 1} values follow it`,
  };
}
