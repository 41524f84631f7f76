import { describeRefusal } from "../dlms/association/requests.ts";
import {
  associationLnV0,
  associationLnV1,
  associationLnV2,
  associationLnV3,
} from "../dlms/cosem/classes/association-ln.ts";
import { DataMismatch } from "../dlms/cosem/classes/data-codec.ts";
import { attributeValue } from "../dlms/cosem/classes/interface-class.ts";
import type { ObjectListElement } from "../dlms/cosem/classes/object-list.ts";
import { type ObisCode, obisOf } from "../dlms/cosem/obis-code.ts";
import type { Data } from "../dlms/encoding/data-types.ts";
import type { MeterAssociation, ReadOptions } from "./meter-association.ts";

export interface ReadObjectList {
  readonly objects: readonly ObjectListElement[];
  /** Of the association's own class, which says what access modes mean; 0 to 3. */
  readonly version: number;
}

/** The meter gives no object list, or one that can't be understood. */
export class ObjectListUnreadable extends Error {
  constructor(reason: string) {
    super(`the meter's object list could not be read: ${reason}`);
    this.name = "ObjectListUnreadable";
  }
}

const CLASS = 15;
/** The association that is open. */
export const CURRENT_ASSOCIATION: ObisCode = obisOf(0, 0, 40, 0, 0, 255);

/** The objects that the open association shows. @throws ObjectListUnreadable, PollError */
export async function readObjectList(
  association: MeterAssociation,
  options?: ReadOptions,
): Promise<ReadObjectList> {
  const attribute = { classId: CLASS, instanceId: CURRENT_ASSOCIATION, attributeId: 2 };
  const [outcome] = await association.read([{ attribute }], options);
  if (outcome!.kind !== "data") throw new ObjectListUnreadable(describeRefusal(outcome!));
  return objectListOf(outcome!.value);
}

/** @throws ObjectListUnreadable */
export function objectListOf(data: Data): ReadObjectList {
  try {
    // What the elements are made of is the same since version 1; reading takes a boolean method mode of version 0 as well.
    const objects = attributeValue(associationLnV1, "objectList", data);
    return { objects, version: versionIn(objects) };
  } catch (error) {
    if (error instanceof DataMismatch) throw new ObjectListUnreadable(error.message);
    throw error;
  }
}

const KNOWN = [associationLnV0, associationLnV1, associationLnV2, associationLnV3].map(
  ({ version }) => version,
);

/** As the list itself says, by the current association or any other in it; 2, the commonest, where it has none. */
function versionIn(objects: readonly ObjectListElement[]): number {
  const associations = objects.filter(({ classId }) => classId === CLASS);
  const current =
    associations.find(({ logicalName }) => logicalName === CURRENT_ASSOCIATION) ?? associations[0];
  return current !== undefined && KNOWN.includes(current.version) ? current.version : 2;
}
