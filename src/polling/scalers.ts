import type { CosemAttributeDescriptor } from "../dlms/cosem/attribute-descriptor.ts";
import { captureObjectFromData } from "../dlms/cosem/capture-object.ts";
import { formatObis, parseObis } from "../dlms/cosem/obis-code.ts";
import { type ScalerUnit, scalerUnitFromData } from "../dlms/cosem/scaler-unit.ts";
import type { Data } from "../dlms/encoding/data-types.ts";
import type { KnownColumn } from "../storage/model-profiles.ts";
import type { MeterAssociation, ReadOutcome } from "./meter-association.ts";

/** A column before its scaler is known. */
export type PlainColumn = Omit<KnownColumn, "scaler" | "unit">;

/** Scaler profiles of IS 15959: one read gives all scalers of a profile. */
const SCALER_PROFILES: Readonly<Record<string, string>> = {
  "1.0.94.91.0.255": "1.0.94.91.3.255",
  "1.0.99.1.0.255": "1.0.94.91.4.255",
  "1.0.99.2.0.255": "1.0.94.91.5.255",
  "1.0.98.1.0.255": "1.0.94.91.6.255",
};
const EVENT_LOG = /^0\.\d+\.99\.98\.\d+\.255$/;
const EVENT_LOG_SCALERS = "1.0.94.91.7.255";

const PROFILE_GENERIC = 7;
const BUFFER = 2;
const CAPTURE_OBJECTS = 3;

/**
 * The scalers of columns as the meter gives them: from the profile's scaler profile where the meter has one, else from scaler_unit of
 * each object. A column keeps null where neither says anything; the scalers configured for the meter type count then.
 * @throws PollError
 */
export async function readScalers(
  association: MeterAssociation,
  columns: readonly PlainColumn[],
  profile: string | null,
): Promise<KnownColumn[]> {
  const found = profile === null ? new Map() : await fromScalerProfile(association, profile);
  const missing = columns.filter((column) => scalerAttribute(column) !== null && !found.has(column.code));
  const wanted = [...new Map(missing.map((column) => [column.code, column])).values()];
  const outcomes = await association.read(
    wanted.map((column) => ({
      attribute: {
        classId: column.classId,
        instanceId: parseObis(column.code),
        attributeId: scalerAttribute(column)!,
      },
    })),
  );
  outcomes.forEach((outcome, index) => {
    const scalerUnit = outcome.kind === "data" ? scalerUnitFromData(outcome.value) : null;
    if (scalerUnit !== null) found.set(wanted[index]!.code, scalerUnit);
  });
  return columns.map((column) => {
    const own = scalerAttribute(column) === null ? undefined : found.get(column.code);
    return { ...column, scaler: own?.scaler ?? null, unit: own?.unit ?? null };
  });
}

/** The attribute that holds scaler_unit of a value: 3 of registers and extended registers, 4 of demand registers; null: it has none. */
export function scalerAttribute({ classId, attribute }: PlainColumn): number | null {
  if ((classId === 3 || classId === 4) && attribute === 2) return 3;
  if (classId === 5 && (attribute === 2 || attribute === 3)) return 4;
  return null;
}

async function fromScalerProfile(
  association: MeterAssociation,
  profile: string,
): Promise<Map<string, ScalerUnit>> {
  const found = new Map<string, ScalerUnit>();
  const name = SCALER_PROFILES[profile] ?? (EVENT_LOG.test(profile) ? EVENT_LOG_SCALERS : null);
  if (name === null) return found;
  const attribute = (attributeId: number): { attribute: CosemAttributeDescriptor } => ({
    attribute: { classId: PROFILE_GENERIC, instanceId: parseObis(name), attributeId },
  });
  // One after the other: many meters refuse both in one list.
  const [objects] = await association.read([attribute(CAPTURE_OBJECTS)]);
  const columns = elements(objects).map(captureObjectFromData);
  if (columns.length === 0) return found;
  const [buffer] = await association.read([attribute(BUFFER)]);
  const [row] = elements(buffer);
  if (row?.type !== "structure" || row.value.length !== columns.length) return found;
  row.value.forEach((value, index) => {
    const scalerUnit = scalerUnitFromData(value);
    const object = columns[index];
    if (scalerUnit !== null && object) found.set(formatObis(object.logicalName), scalerUnit);
  });
  return found;
}

function elements(outcome: ReadOutcome | undefined): readonly Data[] {
  return outcome?.kind === "data" && outcome.value.type === "array" ? outcome.value.value : [];
}
