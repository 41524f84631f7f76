import { Writer } from "../bytes/writer.ts";
import { writeData } from "../encoding/data.ts";
import { writeApdu } from "../xdlms/apdu.ts";
import { cut, type Exchange, rejection, type ServiceMeans, unexpected } from "./client-exchange.ts";
import { LocalProtocolError } from "./errors.ts";
import { CONFORMANCE } from "./mechanisms.ts";
import type { WriteOutcome, WriteRequest } from "./requests.ts";

/** Writes attributes one by one, each in blocks where it is longer than an APDU. */
export function* write(requests: readonly WriteRequest[], means: ServiceMeans): Exchange<WriteOutcome[]> {
  const outcomes: WriteOutcome[] = [];
  for (const request of requests) outcomes.push(yield* writeOne(request, means));
  return outcomes;
}

function* writeOne(request: WriteRequest, means: ServiceMeans): Exchange<WriteOutcome> {
  const whole = {
    apdu: "set-request",
    kind: "normal",
    invokeIdAndPriority: means.nextInvokeId(),
    attribute: request.attribute,
    accessSelection: request.selection ?? null,
    value: request.value,
  } as const;
  if (!isTooLong(writeApdu(whole).length, CONFORMANCE.blockTransferWithSet, means)) {
    const response = yield whole;
    const rejected = rejection(response);
    if (rejected !== null) return rejected;
    if (response.apdu !== "set-response" || response.kind !== "normal")
      throw unexpected(response, "set-response");
    return outcomeOf(response.result);
  }
  return yield* writeInBlocks(request, whole.invokeIdAndPriority, means);
}

/** @throws LocalProtocolError where it is too long and there is no way to cut it */
export function isTooLong(octets: number, blockTransfer: number, means: ServiceMeans): boolean {
  if (octets <= means.requestOctetsMax) return false;
  if ((means.conformance & blockTransfer) !== 0) return true;
  // General block transfer cuts whole APDUs.
  if ((means.conformance & CONFORMANCE.generalBlockTransfer) !== 0) return false;
  throw new LocalProtocolError(
    `a request of ${octets} octets, and the meter takes ${means.requestOctetsMax} and no blocks`,
  );
}

/** Octets in front of the raw data of a first block without selection, and of the others. */
const FIRST_BLOCK_OVERHEAD = 3 + 9 + 1 + 1 + 4 + 3;
export const BLOCK_OVERHEAD = 3 + 1 + 4 + 3;

function* writeInBlocks(
  request: WriteRequest,
  invokeIdAndPriority: number,
  means: ServiceMeans,
): Exchange<WriteOutcome> {
  const writer = new Writer();
  writeData(writer, request.value);
  const { attribute, selection = null } = request;
  const selected = selection === null ? 0 : selectionOctets(selection);
  const size = (first: boolean) =>
    means.requestOctetsMax - (first ? FIRST_BLOCK_OVERHEAD + selected : BLOCK_OVERHEAD);
  for (const block of cut(writer.finish(), size)) {
    const response = yield block.blockNumber === 1
      ? {
          apdu: "set-request",
          kind: "with-first-datablock",
          invokeIdAndPriority,
          attribute,
          accessSelection: selection,
          ...block,
        }
      : { apdu: "set-request", kind: "with-datablock", invokeIdAndPriority, ...block };
    const rejected = rejection(response);
    if (rejected !== null) return rejected;
    if (response.apdu !== "set-response") throw unexpected(response, "set-response");
    if (response.kind === "last-datablock" || response.kind === "normal") return outcomeOf(response.result);
    if (response.kind !== "datablock" || response.blockNumber !== block.blockNumber || block.lastBlock) {
      throw unexpected(response, `the acknowledgement of block ${block.blockNumber}`);
    }
  }
  throw new LocalProtocolError("a value without octets");
}

function selectionOctets(selection: NonNullable<WriteRequest["selection"]>): number {
  const writer = new Writer();
  writeData(writer, selection.parameters);
  return writer.length + 1;
}

const outcomeOf = (result: string | number): WriteOutcome =>
  result === "success" ? { kind: "done" } : { kind: "refused", result: result as "other-reason" };
