import type { Data } from "../encoding/data-types.ts";
import { type ObisCode, obisFromOctets, obisToOctets } from "./obis-code.ts";

/** capture_object_definition: which attribute, or element of one, is a column of a profile or a member of a push. */
export interface CaptureObjectDefinition {
  readonly classId: number;
  readonly logicalName: ObisCode;
  /** 0: all attributes. */
  readonly attributeIndex: number;
  /** 0: the whole attribute; else the n-th element, or a selection of profile rows in its high and low octet. */
  readonly dataIndex: number;
}

/** The structure { long-unsigned, octet-string(6), integer, long-unsigned }, or null where the data is something else. */
export function captureObjectFromData(data: Data): CaptureObjectDefinition | null {
  if (data.type !== "structure" || data.value.length !== 4) return null;
  return captureObjectFromFields(data.value);
}

/** The same from the first four of a longer structure's fields. */
export function captureObjectFromFields(fields: readonly Data[]): CaptureObjectDefinition | null {
  const [classId, logicalName, attributeIndex, dataIndex] = fields;
  if (classId?.type !== "long-unsigned" || attributeIndex?.type !== "integer") return null;
  if (logicalName?.type !== "octet-string" || logicalName.value.length !== 6) return null;
  if (dataIndex?.type !== "long-unsigned") return null;
  return {
    classId: classId.value,
    logicalName: obisFromOctets(logicalName.value, 0),
    attributeIndex: attributeIndex.value,
    dataIndex: dataIndex.value,
  };
}

export function captureObjectToData(object: CaptureObjectDefinition): Data {
  return { type: "structure", value: captureObjectFields(object) };
}

export function captureObjectFields(object: CaptureObjectDefinition): Data[] {
  return [
    { type: "long-unsigned", value: object.classId },
    { type: "octet-string", value: obisToOctets(object.logicalName) },
    { type: "integer", value: object.attributeIndex },
    { type: "long-unsigned", value: object.dataIndex },
  ];
}
