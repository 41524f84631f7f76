import { data, sequenceOf } from "../encoding/codec.ts";
import { writeApdu } from "../xdlms/apdu.ts";
import { type GetDataResult, type GetResponse, getDataResult } from "../xdlms/get.ts";
import { readByAccess } from "./client-access.ts";
import { AnswerBlocks, decoded } from "./client-blocks.ts";
import { type Exchange, rejection, type ServiceMeans, unexpected } from "./client-exchange.ts";
import { expectAsMany, inLists, type ListableService } from "./client-lists.ts";
import type { ReadOutcome, ReadRequest, Rejected } from "./requests.ts";

/** Reads attributes by GET: with-list where it was agreed on and the meter's kind doesn't refuse it, else by ACCESS or one by one. */
export function read(requests: readonly ReadRequest[], means: ServiceMeans): Exchange<ReadOutcome[]> {
  return inLists(requests, GET, means);
}

const GET: ListableService<ReadRequest, ReadOutcome> = {
  quirk: "get_list_refused",
  repeatable: true,
  octetsOf: attributeOctets,
  blockTransfer: 0,
  one: readOne,
  list: readList,
  access: readByAccess,
};

/** Class, logical name, attribute, selection; what ACCESS needs for each beside. */
const ATTRIBUTE_OCTETS = 2 + 6 + 1 + 1 + 2;

/** Octets that an attribute takes in a list, with its selection. */
export function attributeOctets({ attribute, selection }: ReadRequest): number {
  if (selection === null || selection === undefined) return ATTRIBUTE_OCTETS;
  return writeApdu({
    apdu: "get-request",
    kind: "normal",
    invokeIdAndPriority: 0,
    attribute,
    accessSelection: selection,
  }).length;
}

function* readList(
  group: readonly ReadRequest[],
  at: number,
  means: ServiceMeans,
): Exchange<ReadOutcome[] | null> {
  const invokeIdAndPriority = means.nextInvokeId();
  const response = yield {
    apdu: "get-request",
    kind: "with-list",
    invokeIdAndPriority,
    attributes: group.map(({ attribute, selection }) => ({ attribute, accessSelection: selection ?? null })),
  };
  if (rejection(response) !== null) return null;
  if (response.apdu !== "get-response") throw unexpected(response, "get-response");
  // A refusal of the whole list.
  if (response.kind === "normal" && response.result.kind === "data-access-result") return null;
  let results: readonly GetDataResult[];
  if (response.kind === "with-list") {
    results = response.results;
  } else if (response.kind === "with-datablock") {
    const blocks = yield* collect(response, invokeIdAndPriority, at, means);
    if (!Buffer.isBuffer(blocks)) return null;
    results = decoded(RESULT_LIST, blocks, means);
  } else {
    throw unexpected(response, "get-response (with-list)");
  }
  expectAsMany(results, group);
  return results.map(outcomeOf);
}

const RESULT_LIST = sequenceOf(getDataResult);

function* readOne(request: ReadRequest, at: number, means: ServiceMeans): Exchange<ReadOutcome> {
  const invokeIdAndPriority = means.nextInvokeId();
  const response = yield {
    apdu: "get-request",
    kind: "normal",
    invokeIdAndPriority,
    attribute: request.attribute,
    accessSelection: request.selection ?? null,
  };
  const rejected = rejection(response);
  if (rejected !== null) return rejected;
  if (response.apdu !== "get-response") throw unexpected(response, "get-response");
  if (response.kind === "normal") return outcomeOf(response.result);
  if (response.kind !== "with-datablock") throw unexpected(response, "get-response (normal)");
  const blocks = yield* collect(response, invokeIdAndPriority, at, means);
  return Buffer.isBuffer(blocks) ? { kind: "data", value: decoded(data, blocks, means) } : blocks;
}

/** Fetches the blocks behind the first one. The whole value's octets, or why the meter gives no more. */
function* collect(
  first: GetResponse & { kind: "with-datablock" },
  invokeIdAndPriority: number,
  at: number,
  means: ServiceMeans,
): Exchange<Buffer | Rejected | (ReadOutcome & { kind: "refused" })> {
  const blocks = new AnswerBlocks(means, at);
  let block = first;
  for (;;) {
    if (block.result.kind === "data-access-result") return { kind: "refused", result: block.result.result };
    blocks.add(block.blockNumber, block.result.rawData);
    if (block.lastBlock) return blocks.whole();
    const response = yield {
      apdu: "get-request",
      kind: "next",
      invokeIdAndPriority,
      blockNumber: block.blockNumber,
    };
    const rejected = rejection(response);
    if (rejected !== null) return rejected;
    if (response.apdu !== "get-response") throw unexpected(response, "a block");
    if (response.kind === "normal" && response.result.kind === "data-access-result") {
      return { kind: "refused", result: response.result.result };
    }
    if (response.kind !== "with-datablock") throw unexpected(response, "a block");
    block = response;
  }
}

function outcomeOf(result: GetDataResult): ReadOutcome {
  return result.kind === "data"
    ? { kind: "data", value: result.data }
    : { kind: "refused", result: result.result };
}
