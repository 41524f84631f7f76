import { DecodeError } from "../dlms/bytes/errors.ts";
import { Reader } from "../dlms/bytes/reader.ts";
import type { CosemAttributeDescriptor } from "../dlms/cosem/attribute-descriptor.ts";
import { parseObis } from "../dlms/cosem/obis-code.ts";
import { type Data, type DataLimits, readData } from "../dlms/encoding/data.ts";
import type { ScopedLists } from "./capture-lists.ts";
import { type CapturedPush, capturedColumn, printableText } from "./captured.ts";
import { eventPush, recogniseEvents } from "./layout-events.ts";
import { recogniseIs15959 } from "./layout-is15959.ts";
import { recogniseObisValues } from "./layout-obis-values.ts";
import { readKnownObjectList, recogniseObjectList } from "./layout-object-list.ts";
import { recogniseOpaque, recognisePositional } from "./layout-positional.ts";
import { BUFFER, PROFILE_CLASS, profileRows } from "./layout-profile.ts";
import { withTagsInPlace } from "./layout-swapped-tags.ts";
import { recogniseUntaggedRows } from "./layout-untagged-rows.ts";

/** What a body is decoded with: the lists that may explain it, and the limits of the decoder. */
export interface DecodeContext {
  readonly lists: ScopedLists;
  readonly limits: DataLimits;
}

/** What Kaifa and Iskraemeco MT382 meters name when their power goes. */
const LAST_GASP = parseObis("128.128.128.128.128.0");
/** DSMR and SMR number it so in their event logs. */
const LAST_GASP_CODE = 99;

/**
 * What explains a body that is Data, in this order: what describes itself fully goes first, what only a configuration explains last.
 * Called one by one and not through a list of functions: every push that a configuration explains passes all of them.
 */
function recognise(root: Data, { lists, limits }: DecodeContext, octets: Buffer, from: number): CapturedPush {
  return (
    recogniseObjectList(root, lists, octets, from, limits) ??
    recogniseIs15959(root, lists) ??
    recogniseObisValues(root, lists) ??
    recogniseEvents(root, lists) ??
    recognisePositional(root, lists) ??
    recogniseOpaque(root, lists) ??
    unexplained(root)
  );
}

/**
 * The typed values of a notification's body, which begins in `octets` at `from`, with the list that names them. Values are views of
 * `octets`. A body that nothing explains has no list, and a problem that says why. Throws DecodeError where the octets are no Data.
 */
export function decodePush(octets: Buffer, context: DecodeContext, from = 0): CapturedPush {
  const known = readKnownObjectList(octets, from, context.lists, context.limits);
  if (known !== null) return known;
  const root = readRoot(octets, from, context.limits);
  if (root instanceof DecodeError) {
    const body = octets.subarray(from);
    const untagged = recogniseUntaggedRows(body, context.lists, context.limits);
    if (untagged !== null) return untagged;
    const repaired = withTagsInPlace(body);
    if (repaired === null) throw root;
    return decodePush(repaired, context);
  }
  return recognise(root, context, octets, from);
}

/** The error is returned and not thrown, because some meters' bodies are no Data and yet can be read. */
function readRoot(octets: Buffer, from: number, limits: DataLimits): Data | DecodeError {
  try {
    const reader = new Reader(octets, from);
    const root = readData(reader, limits);
    reader.expectEnd();
    return root;
  } catch (error) {
    if (error instanceof DecodeError) return error;
    throw error;
  }
}

/** The one attribute that an event-notification carries. */
export function captureAttribute(
  attribute: CosemAttributeDescriptor,
  value: Data,
  lists: ScopedLists,
): CapturedPush {
  const special = attributePush(attribute, value, lists);
  if (special !== null) return special;
  const column = capturedColumn(attribute.instanceId, attribute.classId, attribute.attributeId, 0);
  const list = lists.ofColumns([column], "single");
  const identifiers = list.identifierColumns.flatMap(() => printableText(value) ?? []);
  return {
    layout: "attribute",
    identifiers,
    pushSetup: null,
    clock: null,
    list,
    first: 0,
    rows: [[value]],
    problem: null,
  };
}

/** Attributes whose value is a body of its own: a last gasp, the rows of a profile, an event in a structure. */
function attributePush(
  { classId, instanceId, attributeId }: CosemAttributeDescriptor,
  value: Data,
  lists: ScopedLists,
): CapturedPush | null {
  if (instanceId === LAST_GASP) {
    const name = printableText(value);
    const event = { log: "alert", code: LAST_GASP_CODE, time: null, name: "last gasp", context: null };
    return eventPush(name === null ? [] : [name], [event], lists);
  }
  if (classId === PROFILE_CLASS && attributeId === BUFFER && value.type === "array") {
    const none = { identifiers: [], pushSetup: null, clock: null, first: 0 };
    return { layout: "attribute", ...none, ...profileRows(instanceId, value.value, lists) };
  }
  return recogniseEvents(value, lists);
}

/** Even so, texts in front may say whose body it is. */
function unexplained(root: Data): CapturedPush {
  const elements = root.type === "structure" ? root.value : [];
  const identifiers = elements.slice(0, 3).flatMap((element) => printableText(element) ?? []);
  const problem =
    root.type === "structure"
      ? `no list of ${elements.length} values is configured for bodies without names`
      : `the body is one ${root.type}, which no layout explains`;
  return { layout: null, identifiers, pushSetup: null, clock: null, list: null, first: 0, rows: [], problem };
}
