import { DecodeError } from "../bytes/errors.ts";
import { Reader } from "../bytes/reader.ts";
import { type Codec, data, sequenceOf } from "../encoding/codec.ts";
import { writeApdu } from "../xdlms/apdu.ts";
import { type GetDataResult, type GetResponse, getDataResult } from "../xdlms/get.ts";
import { readByAccess } from "./client-access.ts";
import { AnswerBlocks, type Exchange, rejection, type ServiceMeans, unexpected } from "./client-exchange.ts";
import { PeerProtocolError } from "./errors.ts";
import { CONFORMANCE } from "./mechanisms.ts";
import type { ReadOutcome, ReadRequest, Rejected } from "./requests.ts";

/** Attributes in one request, even where more would fit: meters have little memory. */
const LIST_MAX = 16;

/** Reads attributes by GET: with-list where it was agreed on and the meter's kind doesn't refuse it, else one by one. */
export function* read(requests: readonly ReadRequest[], means: ServiceMeans): Exchange<ReadOutcome[]> {
  const outcomes: ReadOutcome[] = [];
  while (outcomes.length < requests.length) {
    const at = outcomes.length;
    const group = listFrom(requests, at, means);
    const listed = group.length > 1 ? yield* readListed(group, at, means) : null;
    if (listed !== null) {
      outcomes.push(...listed);
    } else {
      for (const request of group) outcomes.push(yield* readOne(request, outcomes.length, means));
    }
  }
  return outcomes;
}

/** As many as go into one request; one, where lists are not to be used. */
function listFrom(requests: readonly ReadRequest[], at: number, means: ServiceMeans): readonly ReadRequest[] {
  const lists = CONFORMANCE.multipleReferences | CONFORMANCE.access;
  if ((means.conformance & lists) === 0 || means.quirks.withListRefused) return requests.slice(at, at + 1);
  let count = 0;
  let octets = REQUEST_OVERHEAD;
  for (const request of requests.slice(at, at + LIST_MAX)) {
    octets += specificationOctets(request);
    if (octets > means.requestOctetsMax) break;
    count++;
  }
  return requests.slice(at, at + Math.max(1, count));
}

/** Tag, choice, invoke-id, count; ACCESS needs a little more. */
const REQUEST_OVERHEAD = 12;

function specificationOctets({ attribute, selection }: ReadRequest): number {
  if (selection === null || selection === undefined) return 12;
  return writeApdu({
    apdu: "get-request",
    kind: "normal",
    invokeIdAndPriority: 0,
    attribute,
    accessSelection: selection,
  }).length;
}

/**
 * null where the meter refuses the list as such, or answers it with what is no answer, as some do where the results don't fit into one
 * APDU: then it is remembered, and the list is read one by one.
 */
function* readListed(
  group: readonly ReadRequest[],
  at: number,
  means: ServiceMeans,
): Exchange<ReadOutcome[] | null> {
  const byGet = (means.conformance & CONFORMANCE.multipleReferences) !== 0;
  let outcomes: ReadOutcome[] | null;
  try {
    outcomes = byGet ? yield* readList(group, at, means) : yield* readByAccess(group, means);
  } catch (error) {
    if (!(error instanceof PeerProtocolError) || error.reason !== "malformed") throw error;
    outcomes = null;
  }
  if (outcomes === null) means.quirks.withListRefused = true;
  return outcomes;
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
  if (results.length !== group.length) {
    throw new PeerProtocolError("malformed", `${results.length} results for ${group.length} attributes`);
  }
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

/** @throws PeerProtocolError */
export function decoded<T>(codec: Codec<T>, octets: Buffer, { limits }: ServiceMeans): T {
  try {
    const reader = new Reader(octets);
    const value = codec.read(reader, limits);
    reader.expectEnd();
    return value;
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    const reason = error.code === "limit" ? "limit" : "malformed";
    throw new PeerProtocolError(reason, `the meter's answer makes no sense: ${error.message}`, {
      cause: error,
    });
  }
}
