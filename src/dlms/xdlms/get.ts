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
 * GET. Request C0, response C4; then a choice, invoke-id-and-priority, and:
 *
 *     C0 01 normal          attribute descriptor, selection 00 or 01 selector Data
 *     C0 02 next            block number 4
 *     C0 03 with-list       count, { descriptor, selection }
 *     C4 01 normal          00 Data, or 01 data-access-result
 *     C4 02 with-datablock  last block, block number 4, 00 octets or 01 data-access-result
 *     C4 03 with-list       count, { 00 Data or 01 result }
 *
 * Example: C0 01 C1 0008 0000010000FF 02 00 asks for the clock; C4 01 C1 01 04 answers that there is none.
 */
const attributeWithSelection = sequence({
  attribute: cosemAttributeDescriptor,
  accessSelection: optional(selectiveAccessDescriptor),
});

export const getDataResult = choice("Get-Data-Result", {
  0: ["data", sequence({ data })],
  1: ["data-access-result", sequence({ result: dataAccessResult })],
});

export type GetDataResult = ValueOf<typeof getDataResult>;

const rawDataOrResult = choice("DataBlock-G", {
  0: ["raw-data", sequence({ rawData: octetString })],
  1: ["data-access-result", sequence({ result: dataAccessResult })],
});

export const getRequest = choice("Get-Request", {
  1: [
    "normal",
    sequence({
      invokeIdAndPriority: unsigned8,
      attribute: cosemAttributeDescriptor,
      accessSelection: optional(selectiveAccessDescriptor),
    }),
  ],
  2: ["next", sequence({ invokeIdAndPriority: unsigned8, blockNumber: unsigned32 })],
  3: [
    "with-list",
    sequence({ invokeIdAndPriority: unsigned8, attributes: sequenceOf(attributeWithSelection) }),
  ],
});

export type GetRequest = { apdu: "get-request" } & ValueOf<typeof getRequest>;

export const getResponse = choice("Get-Response", {
  1: ["normal", sequence({ invokeIdAndPriority: unsigned8, result: getDataResult })],
  2: [
    "with-datablock",
    sequence({
      invokeIdAndPriority: unsigned8,
      lastBlock: boolean,
      blockNumber: unsigned32,
      result: rawDataOrResult,
    }),
  ],
  3: ["with-list", sequence({ invokeIdAndPriority: unsigned8, results: sequenceOf(getDataResult) })],
});

export type GetResponse = { apdu: "get-response" } & ValueOf<typeof getResponse>;
