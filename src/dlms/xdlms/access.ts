import {
  cosemAttributeDescriptor,
  cosemMethodDescriptor,
  selectiveAccessDescriptor,
} from "../cosem/attribute-descriptor.ts";
import { choice, data, optional, sequence, sequenceOf, unsigned32, type ValueOf } from "../encoding/codec.ts";
import { dateTimeField } from "./date-time-field.ts";
import { actionResult, dataAccessResult } from "./result-codes.ts";

/**
 * ACCESS. Request D9, response DA:
 *
 *     D9: long-invoke-id 4 · date-time 00 or 0C… · count, specifications · count, Data for each
 *     DA: long-invoke-id 4 · date-time · 00, or 01 and the specifications again · count, Data · count, { kind, result }
 *
 * A specification: 01 get, 02 set, 03 action and a descriptor; 04 get and 05 set with a selection.
 *
 * Example: D9 40000001 00 01 01 0008 0000010000FF 02 01 00 gets the clock.
 */
const attribute = { attribute: cosemAttributeDescriptor };

const accessRequestSpecification = choice("Access-Request-Specification", {
  1: ["get", sequence(attribute)],
  2: ["set", sequence(attribute)],
  3: ["action", sequence({ method: cosemMethodDescriptor })],
  4: ["get-with-selection", sequence({ ...attribute, accessSelection: selectiveAccessDescriptor })],
  5: ["set-with-selection", sequence({ ...attribute, accessSelection: selectiveAccessDescriptor })],
});

const accessResponseSpecification = choice("Access-Response-Specification", {
  1: ["get", sequence({ result: dataAccessResult })],
  2: ["set", sequence({ result: dataAccessResult })],
  3: ["action", sequence({ result: actionResult })],
});

export const accessRequest = sequence({
  longInvokeId: unsigned32,
  dateTime: dateTimeField,
  specifications: sequenceOf(accessRequestSpecification),
  data: sequenceOf(data),
});

export type AccessRequest = { apdu: "access-request" } & ValueOf<typeof accessRequest>;

export const accessResponse = sequence({
  longInvokeId: unsigned32,
  dateTime: dateTimeField,
  specifications: optional(sequenceOf(accessRequestSpecification)),
  data: sequenceOf(data),
  results: sequenceOf(accessResponseSpecification),
});

export type AccessResponse = { apdu: "access-response" } & ValueOf<typeof accessResponse>;
