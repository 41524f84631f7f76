import {
  type Codec,
  data,
  integer8,
  sequence,
  unsigned8,
  unsigned16,
  type ValueOf,
} from "../encoding/codec.ts";
import { type ObisCode, obisFromOctets, obisToOctets } from "./obis-code.ts";

/** Six octets without a length. */
export const logicalName: Codec<ObisCode> = {
  read: (reader) => obisFromOctets(reader.octets(6), 0),
  write: (writer, code) => writer.octets(obisToOctets(code)),
};

/**
 * class id 2 · logical name 6 · attribute 1
 *
 * Example: 0008 0000010000FF 02 is the time of the clock.
 */
export const cosemAttributeDescriptor = sequence({
  classId: unsigned16,
  instanceId: logicalName,
  attributeId: integer8,
});

export type CosemAttributeDescriptor = ValueOf<typeof cosemAttributeDescriptor>;

/** class id 2 · logical name 6 · method 1 */
export const cosemMethodDescriptor = sequence({
  classId: unsigned16,
  instanceId: logicalName,
  methodId: integer8,
});

export type CosemMethodDescriptor = ValueOf<typeof cosemMethodDescriptor>;

/** selector 1 · parameters as Data */
export const selectiveAccessDescriptor = sequence({ selector: unsigned8, parameters: data });

export type SelectiveAccessDescriptor = ValueOf<typeof selectiveAccessDescriptor>;
