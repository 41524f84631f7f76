import type { Data } from "../../encoding/data-types.ts";
import type { ObisCode } from "../obis-code.ts";
import {
  type DataCodec,
  dataCodec,
  integer,
  longUnsigned,
  nullable,
  unsigned,
  wholeNumber,
} from "./data-codec.ts";
import { logicalName } from "./data-strings.ts";
import { array, structure } from "./data-structures.ts";

/** object_list_element: an object of the logical device, and what the client of this association may do with it. */
export interface ObjectListElement {
  readonly classId: number;
  readonly version: number;
  readonly logicalName: ObisCode;
  readonly accessRights: AccessRights;
}

export interface AccessRights {
  readonly attributeAccess: readonly AttributeAccessItem[];
  readonly methodAccess: readonly MethodAccessItem[];
}

export interface AttributeAccessItem {
  readonly attributeId: number;
  /** As sent: a number of ATTRIBUTE_MODES in versions 0 to 2 of the association, bits of ACCESS_BITS in version 3. */
  readonly accessMode: number;
  /** Selectors that selective access may use; null: none are named. */
  readonly accessSelectors: readonly number[] | null;
}

export interface MethodAccessItem {
  readonly methodId: number;
  /** 0 none, 1 access, 2 authenticated requests only; bits of ACCESS_BITS in version 3. */
  readonly accessMode: number;
}

/** Bits of an access mode in version 3. */
export const ACCESS_BITS = {
  read: 0x01,
  write: 0x02,
  /** For methods. */
  access: 0x01,
  authenticatedRequest: 0x04,
  encryptedRequest: 0x08,
  signedRequest: 0x10,
  authenticatedResponse: 0x20,
  encryptedResponse: 0x40,
  signedResponse: 0x80,
} as const;

const { read, write, access, authenticatedRequest } = ACCESS_BITS;

/** What the modes of versions 0 to 2 mean, in the bits of version 3. */
export const ATTRIBUTE_MODES: readonly number[] = [
  0,
  read,
  write,
  read | write,
  read | authenticatedRequest,
  write | authenticatedRequest,
  read | write | authenticatedRequest,
];

export const METHOD_MODES: readonly number[] = [0, access, access | authenticatedRequest];

/** An attribute's access mode as bits of ACCESS_BITS. Modes that are not assigned are no access. */
export function attributeAccessBits(associationVersion: number, accessMode: number): number {
  return associationVersion >= 3 ? accessMode : (ATTRIBUTE_MODES[accessMode] ?? 0);
}

/** A method's access mode as bits of ACCESS_BITS. */
export function methodAccessBits(associationVersion: number, accessMode: number): number {
  return associationVersion >= 3 ? accessMode : (METHOD_MODES[accessMode] ?? 0);
}

/** Mode of a method: a boolean in version 0, an enum since. */
function accessMode(type: "boolean" | "enum"): DataCodec<number> {
  return dataCodec(
    type,
    (data) => (data.type === "boolean" ? Number(data.value) : wholeNumber(data)),
    (value): Data => (type === "boolean" ? { type, value: value !== 0 } : { type, value }),
  );
}

/** By the version of the association. */
function objectListElementOf(methodMode: "boolean" | "enum"): DataCodec<ObjectListElement> {
  const accessSelectors: DataCodec<readonly number[] | null> = nullable(array(integer));
  return structure({
    classId: longUnsigned,
    version: unsigned,
    logicalName,
    accessRights: structure({
      attributeAccess: array(
        structure({ attributeId: integer, accessMode: accessMode("enum"), accessSelectors }),
      ),
      methodAccess: array(structure({ methodId: integer, accessMode: accessMode(methodMode) })),
    }),
  });
}

export const objectListElementV0 = objectListElementOf("boolean");
export const objectListElement = objectListElementOf("enum");
