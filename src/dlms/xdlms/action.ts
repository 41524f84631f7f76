import { cosemMethodDescriptor } from "../cosem/attribute-descriptor.ts";
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
import { getDataResult } from "./get.ts";
import { actionResult } from "./result-codes.ts";

/**
 * ACTION. Request C3, response C7; then a choice, invoke-id-and-priority, and:
 *
 *     C3 01 normal                       method descriptor, 00 or 01 Data
 *     C3 02 next-pblock                  block number 4
 *     C3 03 with-list                    count, descriptors, count, Data…
 *     C3 04 with-first-pblock            descriptor, last block, block number 4, octets
 *     C3 05 with-list-and-first-pblock   count, descriptors, last block, block number 4, octets
 *     C3 06 with-pblock                  last block, block number 4, octets
 *     C7 01 normal                       action-result, 00 or 01 and 00 Data or 01 data-access-result
 *     C7 02 with-pblock                  last block, block number 4, octets
 *     C7 03 with-list                    count, { action-result, optional return }
 *     C7 04 next-pblock                  block number 4
 *
 * Example: C3 01 C1 0046 000060030AFF 01 01 0F 00 disconnects; C7 01 C1 00 00 confirms it.
 */
const invokeIdAndPriority = unsigned8;
const pBlock = { lastBlock: boolean, blockNumber: unsigned32, rawData: octetString };

export const actionRequest = choice("Action-Request", {
  1: ["normal", sequence({ invokeIdAndPriority, method: cosemMethodDescriptor, parameters: optional(data) })],
  2: ["next-pblock", sequence({ invokeIdAndPriority, blockNumber: unsigned32 })],
  3: [
    "with-list",
    sequence({
      invokeIdAndPriority,
      methods: sequenceOf(cosemMethodDescriptor),
      parameters: sequenceOf(data),
    }),
  ],
  4: ["with-first-pblock", sequence({ invokeIdAndPriority, method: cosemMethodDescriptor, ...pBlock })],
  5: [
    "with-list-and-first-pblock",
    sequence({ invokeIdAndPriority, methods: sequenceOf(cosemMethodDescriptor), ...pBlock }),
  ],
  6: ["with-pblock", sequence({ invokeIdAndPriority, ...pBlock })],
});

export type ActionRequest = { apdu: "action-request" } & ValueOf<typeof actionRequest>;

const outcome = { result: actionResult, returnParameters: optional(getDataResult) };

/** What came of one method: an element of a list, also where the list comes in blocks. */
export const actionOutcome = sequence(outcome);

export type ActionOutcome = ValueOf<typeof actionOutcome>;

export const actionResponse = choice("Action-Response", {
  1: ["normal", sequence({ invokeIdAndPriority, ...outcome })],
  2: ["with-pblock", sequence({ invokeIdAndPriority, ...pBlock })],
  3: ["with-list", sequence({ invokeIdAndPriority, results: sequenceOf(actionOutcome) })],
  4: ["next-pblock", sequence({ invokeIdAndPriority, blockNumber: unsigned32 })],
});

export type ActionResponse = { apdu: "action-response" } & ValueOf<typeof actionResponse>;
