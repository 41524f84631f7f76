import { cosemAttributeDescriptor } from "../cosem/attribute-descriptor.ts";
import { data, sequence, type ValueOf } from "../encoding/codec.ts";
import { optionalDateTime } from "./date-time-field.ts";

/**
 * EventNotification, tag C2:
 *
 *     time: 00, or 01 0C and twelve octets · attribute descriptor 9 · value: Data
 *
 * Example: C2 01 0C 07EA0718FF0A0F1E00FEB600 0001 00005E5B12FF 02 04 08 80 is the bit-string 10000000 of the event
 * status word 0.0.94.91.18.255.
 */
export const eventNotification = sequence({
  time: optionalDateTime,
  attribute: cosemAttributeDescriptor,
  value: data,
});

export type EventNotification = { apdu: "event-notification" } & ValueOf<typeof eventNotification>;
