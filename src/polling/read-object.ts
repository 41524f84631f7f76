import { describeRefusal, type ReadProgress } from "../dlms/association/requests.ts";
import type {
  CosemAttributeDescriptor,
  SelectiveAccessDescriptor,
} from "../dlms/cosem/attribute-descriptor.ts";
import { type CaptureObjectDefinition, captureObjectFromData } from "../dlms/cosem/capture-object.ts";
import { DataMismatch } from "../dlms/cosem/classes/data-codec.ts";
import { clockColumnOf, profileRows } from "../dlms/cosem/profile-buffer.ts";
import { type ScalerUnit, scalerUnitFromData } from "../dlms/cosem/scaler-unit.ts";
import { entriesFromTo, rowsBetween } from "../dlms/cosem/selective-access.ts";
import type { Data } from "../dlms/encoding/data-types.ts";
import { type CosemDateTime, DATE_TIME_OCTETS, writeDateTime } from "../dlms/encoding/date-time.ts";
import type { MeterAssociation } from "./meter-association.ts";

/** What reading one object for people has come to. */
export type ObjectReading =
  | { readonly kind: "value"; readonly value: Data; readonly scalerUnit: ScalerUnit | null }
  | { readonly kind: "profile"; readonly columns: readonly Column[]; readonly rows: readonly Data[][] }
  | { readonly kind: "refused"; readonly reason: string };

export interface Column extends CaptureObjectDefinition {
  readonly scalerUnit: ScalerUnit | null;
}

/** Which rows of a profile are wanted. */
export type RowsWanted =
  | { readonly kind: "all" }
  | { readonly kind: "last"; readonly count: number }
  /** By the meter's clock, both ends included. */
  | { readonly kind: "range"; readonly from: CosemDateTime; readonly to: CosemDateTime };

const PROFILE_GENERIC = 7;
const BUFFER = 2;
/** Attribute with scaler and unit, by class. */
const SCALER_UNIT: Readonly<Record<number, number>> = { 3: 3, 4: 3, 5: 4 };
/** Attributes that are scaled, by class. */
const SCALED: Readonly<Record<number, readonly number[]>> = { 3: [2], 4: [2], 5: [2, 3] };

/** @throws PollError */
export async function readObject(
  association: MeterAssociation,
  attribute: CosemAttributeDescriptor,
  rows: RowsWanted,
  onProgress: (progress: ReadProgress) => void,
): Promise<ObjectReading> {
  if (attribute.classId === PROFILE_GENERIC && attribute.attributeId === BUFFER) {
    return readProfileRows(association, attribute, rows, onProgress);
  }
  const [outcome] = await association.read([{ attribute }], { onProgress });
  if (outcome!.kind !== "data") return { kind: "refused", reason: describeRefusal(outcome!) };
  const [scalerUnit] = await scalerUnits(association, [attribute]);
  return { kind: "value", value: outcome!.value, scalerUnit: scalerUnit ?? null };
}

async function readProfileRows(
  association: MeterAssociation,
  attribute: CosemAttributeDescriptor,
  wanted: RowsWanted,
  onProgress: (progress: ReadProgress) => void,
): Promise<ObjectReading> {
  const of = (attributeId: number) => ({ attribute: { ...attribute, attributeId } });
  const [captured, period, sorted, inUse] = await association.read([of(3), of(4), of(5), of(7)]);
  if (captured!.kind !== "data") {
    return { kind: "refused", reason: `its capture objects: ${describeRefusal(captured!)}` };
  }
  const objects = captureObjects(captured!.value);
  if (objects === null) return { kind: "refused", reason: "its capture objects can't be understood" };
  const newestFirst = sorted?.kind === "data" && sorted.value.value === LIFO;
  const count = inUse?.kind === "data" ? Number(inUse.value.value) : null;
  const selection = selectionOf(wanted, count, newestFirst);
  let [outcome] = await association.read([{ attribute, selection }], { onProgress });
  // A meter that doesn't select rows that way may give them all, of which what is wanted is kept.
  const selected = outcome!.kind === "data" && selection !== null;
  if (outcome!.kind !== "data" && selection !== null) {
    [outcome] = await association.read([{ attribute }], { onProgress });
  }
  if (outcome!.kind !== "data") return { kind: "refused", reason: describeRefusal(outcome!) };
  const periodSeconds = period?.kind === "data" ? Number(period.value.value) || null : null;
  try {
    const rows = profileRows(outcome!.value, objects, periodSeconds);
    const units = await scalerUnits(
      association,
      objects.map(({ classId, logicalName, attributeIndex }) => ({
        classId,
        instanceId: logicalName,
        attributeId: attributeIndex,
      })),
    );
    const columns = objects.map((object, at) => ({ ...object, scalerUnit: units[at] ?? null }));
    const rowsOfIt = selected ? rows : kept(rows, wanted, clockColumnOf(objects), newestFirst);
    return { kind: "profile", columns, rows: rowsOfIt };
  } catch (error) {
    if (!(error instanceof DataMismatch)) throw error;
    return { kind: "refused", reason: `its rows can't be understood: ${error.message}` };
  }
}

/** Sort method of a buffer whose first row is the newest. */
const LIFO = 2;

function selectionOf(
  wanted: RowsWanted,
  count: number | null,
  newestFirst: boolean,
): SelectiveAccessDescriptor | null {
  if (wanted.kind === "range") return rowsBetween(wanted.from, wanted.to);
  if (wanted.kind === "all" || count === null || count <= wanted.count) return null;
  // Not 0 for "the last one", which not all meters know.
  return newestFirst ? entriesFromTo(1, wanted.count) : entriesFromTo(count - wanted.count + 1, count);
}

/** Of rows that were not selected by the meter those that are wanted; rows that don't tell their time are kept. */
function kept(
  rows: Data[][],
  wanted: RowsWanted,
  clockColumn: number | null,
  newestFirst: boolean,
): Data[][] {
  if (wanted.kind === "all") return rows;
  if (wanted.kind === "last") return newestFirst ? rows.slice(0, wanted.count) : rows.slice(-wanted.count);
  const [from, to] = [clockDigits(writeDateTime(wanted.from)), clockDigits(writeDateTime(wanted.to))];
  return rows.filter((row) => {
    const clock = clockColumn === null ? null : row[clockColumn]?.value;
    if (!Buffer.isBuffer(clock) || clock.length !== DATE_TIME_OCTETS) return true;
    const time = clockDigits(clock);
    return time >= from && time <= to;
  });
}

/** Year to second, as the clock shows them: earlier times sort before later ones. */
const clockDigits = (octets: Buffer): string =>
  Buffer.concat([octets.subarray(0, 4), octets.subarray(5, 8)]).toString("hex");

function captureObjects(data: Data): CaptureObjectDefinition[] | null {
  if (data.type !== "array") return null;
  const objects = data.value.map(captureObjectFromData);
  return objects.includes(null) ? null : (objects as CaptureObjectDefinition[]);
}

/** Scaler and unit of what is scaled; null for the rest, and where the meter doesn't tell. */
async function scalerUnits(
  association: MeterAssociation,
  attributes: readonly CosemAttributeDescriptor[],
): Promise<(ScalerUnit | null)[]> {
  const scaled = attributes.map(
    ({ classId, attributeId }) => SCALED[classId]?.includes(attributeId) === true,
  );
  const asked = attributes.filter((_, at) => scaled[at]);
  if (asked.length === 0) return attributes.map(() => null);
  const outcomes = await association.read(
    asked.map((attribute) => ({ attribute: { ...attribute, attributeId: SCALER_UNIT[attribute.classId]! } })),
  );
  const found = outcomes.map((outcome) =>
    outcome.kind === "data" ? scalerUnitFromData(outcome.value) : null,
  );
  return attributes.map((_, at) => (scaled[at] ? (found.shift() ?? null) : null));
}
