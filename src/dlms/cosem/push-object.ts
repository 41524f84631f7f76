import type { Data } from "../encoding/data-types.ts";
import {
  type CaptureObjectDefinition,
  captureObjectFields,
  captureObjectFromFields,
} from "./capture-object.ts";

/** An entry of push_object_list (class 40, attribute 2). */
export interface PushObject extends CaptureObjectDefinition {
  /** restriction_element as sent (version 1 and later), else null. */
  readonly restriction: Data | null;
  /** push columns as sent (version 2 and later), else null. */
  readonly columns: Data | null;
}

/** A structure of 4, 5 (restriction) or 6 (restriction and columns) fields, or null where the data is something else. */
export function pushObjectFromData(data: Data): PushObject | null {
  if (data.type !== "structure" || data.value.length < 4 || data.value.length > 6) return null;
  const object = captureObjectFromFields(data.value);
  if (object === null) return null;
  return { ...object, restriction: data.value[4] ?? null, columns: data.value[5] ?? null };
}

/** All entries of a push_object_list, or null where the data is no array of such entries, or empty. */
export function pushObjectListFromData(data: Data): PushObject[] | null {
  if (data.type !== "array" || data.value.length === 0) return null;
  const objects: PushObject[] = [];
  for (const entry of data.value) {
    const object = pushObjectFromData(entry);
    if (object === null) return null;
    objects.push(object);
  }
  return objects;
}

/** With as many fields as the entry has. */
export function pushObjectToData(object: PushObject): Data {
  const fields = captureObjectFields(object);
  if (object.restriction !== null) fields.push(object.restriction);
  if (object.columns !== null) fields.push(object.columns);
  return { type: "structure", value: fields };
}
