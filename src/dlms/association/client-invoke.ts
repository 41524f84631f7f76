import { DecodeError } from "../bytes/errors.ts";
import { Writer } from "../bytes/writer.ts";
import { data } from "../encoding/codec.ts";
import { writeData } from "../encoding/data.ts";
import type { ActionResponse } from "../xdlms/action.ts";
import { type Apdu, readApdu, writeApdu } from "../xdlms/apdu.ts";
import {
  AnswerBlocks,
  cut,
  type Exchange,
  rejection,
  type ServiceMeans,
  unexpected,
} from "./client-exchange.ts";
import { decoded } from "./client-read.ts";
import { BLOCK_OVERHEAD, isTooLong } from "./client-write.ts";
import { LocalProtocolError } from "./errors.ts";
import { CONFORMANCE } from "./mechanisms.ts";
import type { InvokeOutcome, InvokeRequest } from "./requests.ts";

/** Invokes methods one after the other, parameters and return parameters in blocks where they are longer than an APDU. */
export function* invoke(requests: readonly InvokeRequest[], means: ServiceMeans): Exchange<InvokeOutcome[]> {
  const outcomes: InvokeOutcome[] = [];
  for (const request of requests) outcomes.push(yield* invokeOne(request, outcomes.length, means));
  return outcomes;
}

function* invokeOne(
  { method, parameters }: InvokeRequest,
  at: number,
  means: ServiceMeans,
): Exchange<InvokeOutcome> {
  const invokeIdAndPriority = means.nextInvokeId();
  const whole = { apdu: "action-request", kind: "normal", invokeIdAndPriority, method, parameters } as const;
  const long = isTooLong(writeApdu(whole).length, CONFORMANCE.blockTransferWithAction, means);
  const response = long
    ? yield* sendInBlocks({ method, parameters }, invokeIdAndPriority, means)
    : yield whole;
  const rejected = rejection(response);
  if (rejected !== null) return rejected;
  if (response.apdu !== "action-response") throw unexpected(response, "action-response");
  if (response.kind === "normal") return outcomeOf(response);
  if (response.kind !== "with-pblock") throw unexpected(response, "action-response (normal)");
  return yield* collect(response, invokeIdAndPriority, at, means);
}

/** Tag, choice, invoke-id, method, last block, block number, length. */
const FIRST_BLOCK_OVERHEAD = 3 + 9 + 1 + 4 + 3;

/** Sends the parameters, and gives the answer to their last block. */
function* sendInBlocks(
  { method, parameters }: InvokeRequest,
  invokeIdAndPriority: number,
  means: ServiceMeans,
): Exchange<Apdu> {
  const writer = new Writer();
  writeData(writer, parameters!);
  const size = (first: boolean) => means.requestOctetsMax - (first ? FIRST_BLOCK_OVERHEAD : BLOCK_OVERHEAD);
  for (const block of cut(writer.finish(), size)) {
    const response = yield block.blockNumber === 1
      ? { apdu: "action-request", kind: "with-first-pblock", invokeIdAndPriority, method, ...block }
      : { apdu: "action-request", kind: "with-pblock", invokeIdAndPriority, ...block };
    if (block.lastBlock || response.apdu !== "action-response" || response.kind !== "next-pblock")
      return response;
    if (response.blockNumber !== block.blockNumber) {
      throw unexpected(response, `the acknowledgement of block ${block.blockNumber}`);
    }
  }
  throw new LocalProtocolError("parameters without octets");
}

function* collect(
  first: ActionResponse & { kind: "with-pblock" },
  invokeIdAndPriority: number,
  at: number,
  means: ServiceMeans,
): Exchange<InvokeOutcome> {
  const blocks = new AnswerBlocks(means, at);
  for (let block = first; ; ) {
    blocks.add(block.blockNumber, block.rawData);
    if (block.lastBlock) return fromBlocks(blocks.whole(), means);
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

function outcomeOf({ result, returnParameters }: ActionResponse & { kind: "normal" }): InvokeOutcome {
  if (result !== "success") return { kind: "refused", result };
  if (returnParameters === null) return { kind: "done", value: null };
  // Without data it is done all the same; the meter can't or won't say more about it.
  return { kind: "done", value: returnParameters.kind === "data" ? returnParameters.data : null };
}
