import { DecodeError } from "../bytes/errors.ts";
import { type Codec, data, sequenceOf } from "../encoding/codec.ts";
import type { Data } from "../encoding/data-types.ts";
import { type ActionOutcome, type ActionResponse, actionOutcome } from "../xdlms/action.ts";
import { type Apdu, readApdu, writeApdu } from "../xdlms/apdu.ts";
import { invokeByAccess } from "./client-access.ts";
import { AnswerBlocks, type BlockForms, decoded, encoded, isTooLong, sendInBlocks } from "./client-blocks.ts";
import { type Exchange, rejection, type ServiceMeans, unexpected } from "./client-exchange.ts";
import { expectAsMany, inLists, type ListableService } from "./client-lists.ts";
import { CONFORMANCE } from "./mechanisms.ts";
import type { InvokeOutcome, InvokeRequest, Rejected } from "./requests.ts";

/**
 * Invokes methods by ACTION, several in one request where the meter takes that; parameters and return parameters in blocks where they are
 * longer than an APDU.
 */
export function invoke(requests: readonly InvokeRequest[], means: ServiceMeans): Exchange<InvokeOutcome[]> {
  return inLists(requests, ACTION, means);
}

/** Class, logical name, method; what ACCESS needs for each beside. */
const METHOD_OCTETS = 2 + 6 + 1 + 1 + 2;

const ACTION: ListableService<InvokeRequest, InvokeOutcome> = {
  quirk: "action_list_refused",
  // Nobody can tell whether it has been done.
  repeatable: false,
  octetsOf: ({ parameters }, cut) => METHOD_OCTETS + (cut ? 0 : encoded(data, parameters ?? NOTHING).length),
  blockTransfer: CONFORMANCE.blockTransferWithAction,
  one: invokeOne,
  list: invokeList,
  access: invokeByAccess,
};

/** A list has a Data for every method, also for those without parameters. */
const NOTHING: Data = { type: "null-data", value: null };

function* invokeOne(
  { method, parameters }: InvokeRequest,
  at: number,
  means: ServiceMeans,
): Exchange<InvokeOutcome> {
  const head = { apdu: "action-request", invokeIdAndPriority: means.nextInvokeId() } as const;
  const response = yield* send(
    { ...head, kind: "normal", method, parameters },
    (block) => ({ ...head, kind: "with-first-pblock", method, ...block }),
    () => encoded(data, parameters!),
    means,
  );
  const rejected = rejection(response);
  if (rejected !== null) return rejected;
  if (response.apdu !== "action-response") throw unexpected(response, "action-response");
  if (response.kind === "normal") return outcomeOf(response);
  if (response.kind !== "with-pblock") throw unexpected(response, "action-response (normal)");
  const octets = yield* collect(response, head.invokeIdAndPriority, at, means);
  return Buffer.isBuffer(octets) ? fromBlocks(octets, means) : octets;
}

function* invokeList(
  group: readonly InvokeRequest[],
  at: number,
  means: ServiceMeans,
): Exchange<InvokeOutcome[] | null> {
  const methods = group.map(({ method }) => method);
  const parameters = group.map((request) => request.parameters ?? NOTHING);
  const head = { apdu: "action-request", invokeIdAndPriority: means.nextInvokeId() } as const;
  const response = yield* send(
    { ...head, kind: "with-list", methods, parameters },
    (block) => ({ ...head, kind: "with-list-and-first-pblock", methods, ...block }),
    () => encoded(sequenceOf(data), parameters),
    means,
  );
  if (rejection(response) !== null) return null;
  if (response.apdu !== "action-response") throw unexpected(response, "action-response");
  // A refusal of the whole list.
  if (response.kind === "normal" && response.result !== "success") return null;
  if (response.kind === "with-list") return outcomesOf(response.results, group);
  if (response.kind !== "with-pblock") throw unexpected(response, "action-response (with-list)");
  const octets = yield* collect(response, head.invokeIdAndPriority, at, means);
  // It has begun to answer: what is refused now is the rest of its answer, not the list.
  if (!Buffer.isBuffer(octets)) return group.map(() => octets);
  return outcomesOf(decoded(OUTCOME_LIST, octets, means), group);
}

const OUTCOME_LIST: Codec<readonly ActionOutcome[]> = sequenceOf(actionOutcome);

function outcomesOf(results: readonly ActionOutcome[], group: readonly InvokeRequest[]): InvokeOutcome[] {
  expectAsMany(results, group);
  return results.map(outcomeOf);
}

/** Sends a request whole, or in blocks where it is longer than an APDU. */
function* send(
  whole: Apdu & { apdu: "action-request" },
  first: BlockForms["first"],
  octets: () => Buffer,
  means: ServiceMeans,
): Exchange<Apdu> {
  if (!isTooLong(writeApdu(whole).length, CONFORMANCE.blockTransferWithAction, means)) return yield whole;
  const { apdu, invokeIdAndPriority } = whole;
  const forms: BlockForms = {
    first,
    next: (block) => ({ apdu, kind: "with-pblock", invokeIdAndPriority, ...block }),
    acknowledged: (response) =>
      response.apdu === "action-response" && response.kind === "next-pblock" ? response.blockNumber : null,
  };
  return yield* sendInBlocks(octets(), forms, means);
}

/** Fetches the blocks behind the first one. The octets of the whole, or why the meter gives no more. */
function* collect(
  first: ActionResponse & { kind: "with-pblock" },
  invokeIdAndPriority: number,
  at: number,
  means: ServiceMeans,
): Exchange<Buffer | Rejected | (InvokeOutcome & { kind: "refused" | "done" })> {
  const blocks = new AnswerBlocks(means, at);
  for (let block = first; ; ) {
    blocks.add(block.blockNumber, block.rawData);
    if (block.lastBlock) return blocks.whole();
    const response = yield {
      apdu: "action-request",
      kind: "next-pblock",
      invokeIdAndPriority,
      blockNumber: block.blockNumber,
    };
    const rejected = rejection(response);
    if (rejected !== null) return rejected;
    if (response.apdu !== "action-response") throw unexpected(response, "a block");
    if (response.kind === "normal") return outcomeOf(response);
    if (response.kind !== "with-pblock") throw unexpected(response, "a block");
    block = response;
  }
}

/** Most meters send result and optional return parameters in their blocks, some the return parameters alone. */
function fromBlocks(octets: Buffer, means: ServiceMeans): InvokeOutcome {
  try {
    const response = readApdu(Buffer.concat([ACTION_RESPONSE_NORMAL, octets]), means.limits);
    if (response.apdu === "action-response" && response.kind === "normal") return outcomeOf(response);
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
  }
  return { kind: "done", value: decoded(data, octets, means) };
}

const ACTION_RESPONSE_NORMAL = Buffer.from([0xc7, 0x01, 0x00]);

function outcomeOf({ result, returnParameters }: ActionOutcome): InvokeOutcome {
  if (result !== "success") return { kind: "refused", result };
  if (returnParameters === null) return { kind: "done", value: null };
  // Without data it is done all the same; the meter can't or won't say more about it.
  return { kind: "done", value: returnParameters.kind === "data" ? returnParameters.data : null };
}
