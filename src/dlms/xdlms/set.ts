import { cosemAttributeDescriptor, selectiveAccessDescriptor } from "../cosem/attribute-descriptor.ts";
import {
  boolean,
  choice,
  data,
  octetString,
  optional,
  sequence,
  sequenceOf,
  unsigned8,
  unsigned32,
  type ValueOf,
} from "../encoding/codec.ts";
import { dataAccessResult } from "./result-codes.ts";

/**
 * SET. Request C1, response C5; then a choice, invoke-id-and-priority, and:
 *
 *     C1 01 normal                          descriptor, selection, Data
 *     C1 02 with-first-datablock            descriptor, selection, last block, block number 4, octets
 *     C1 03 with-datablock                  last block, block number 4, octets
 *     C1 04 with-list                       count, { descriptor, selection }, count, Data…
 *     C1 05 with-list-and-first-datablock   count, { descriptor, selection }, last block, block number 4, octets
 *     C5 01 normal                          result
 *     C5 02 datablock                       block number 4
 *     C5 03 last-datablock                  result, block number 4
 *     C5 04 last-datablock-with-list        count, results, block number 4
 *     C5 05 with-list                       count, results
 *
 * Example: C5 01 C1 03 is the refusal "read-write-denied".
 */
const invokeIdAndPriority = unsigned8;
const attributeWithSelection = {
  attribute: cosemAttributeDescriptor,
  accessSelection: optional(selectiveAccessDescriptor),
};

const dataBlock = { lastBlock: boolean, blockNumber: unsigned32, rawData: octetString };

export const setRequest = choice("Set-Request", {
  1: ["normal", sequence({ invokeIdAndPriority, ...attributeWithSelection, value: data })],
  2: ["with-first-datablock", sequence({ invokeIdAndPriority, ...attributeWithSelection, ...dataBlock })],
  3: ["with-datablock", sequence({ invokeIdAndPriority, ...dataBlock })],
  4: [
    "with-list",
    sequence({
      invokeIdAndPriority,
      attributes: sequenceOf(sequence(attributeWithSelection)),
      values: sequenceOf(data),
    }),
  ],
  5: [
    "with-list-and-first-datablock",
    sequence({
      invokeIdAndPriority,
      attributes: sequenceOf(sequence(attributeWithSelection)),
      ...dataBlock,
    }),
  ],
});

export type SetRequest = { apdu: "set-request" } & ValueOf<typeof setRequest>;

export const setResponse = choice("Set-Response", {
  1: ["normal", sequence({ invokeIdAndPriority, result: dataAccessResult })],
  2: ["datablock", sequence({ invokeIdAndPriority, blockNumber: unsigned32 })],
  3: ["last-datablock", sequence({ invokeIdAndPriority, result: dataAccessResult, blockNumber: unsigned32 })],
  4: [
    "last-datablock-with-list",
    sequence({ invokeIdAndPriority, results: sequenceOf(dataAccessResult), blockNumber: unsigned32 }),
  ],
  5: ["with-list", sequence({ invokeIdAndPriority, results: sequenceOf(dataAccessResult) })],
});

export type SetResponse = { apdu: "set-response" } & ValueOf<typeof setResponse>;
