import { data, sequenceOf } from "../encoding/codec.ts";
import { type Apdu, writeApdu } from "../xdlms/apdu.ts";
import { writeByAccess } from "./client-access.ts";
import { type BlockForms, encoded, isTooLong, sendInBlocks } from "./client-blocks.ts";
import { type Exchange, rejection, type ServiceMeans, unexpected } from "./client-exchange.ts";
import { expectAsMany, inLists, type ListableService } from "./client-lists.ts";
import { attributeOctets } from "./client-read.ts";
import { CONFORMANCE } from "./mechanisms.ts";
import type { WriteOutcome, WriteRequest } from "./requests.ts";

/** Writes attributes by SET, several in one request where the meter takes that, in blocks where they are longer than an APDU. */
export function write(requests: readonly WriteRequest[], means: ServiceMeans): Exchange<WriteOutcome[]> {
  return inLists(requests, SET, means);
}

const SET: ListableService<WriteRequest, WriteOutcome> = {
  quirk: "set_list_refused",
  // The same values once more.
  repeatable: true,
  octetsOf: (request, cut) => attributeOctets(request) + (cut ? 0 : encoded(data, request.value).length),
  blockTransfer: CONFORMANCE.blockTransferWithSet,
  one: writeOne,
  list: writeList,
  access: writeByAccess,
};

function* writeOne(request: WriteRequest, _at: number, means: ServiceMeans): Exchange<WriteOutcome> {
  const { selection: accessSelection = null, value } = request;
  const head = { apdu: "set-request", invokeIdAndPriority: means.nextInvokeId() } as const;
  const what = { attribute: request.attribute, accessSelection };
  const response = yield* send(
    { ...head, kind: "normal", ...what, value },
    (block) => ({ ...head, kind: "with-first-datablock", ...what, ...block }),
    () => encoded(data, value),
    means,
  );
  const rejected = rejection(response);
  if (rejected !== null) return rejected;
  if (response.apdu !== "set-response") throw unexpected(response, "set-response");
  if (response.kind !== "normal" && response.kind !== "last-datablock") {
    throw unexpected(response, "set-response (normal)");
  }
  return outcomeOf(response.result);
}

function* writeList(
  group: readonly WriteRequest[],
  _at: number,
  means: ServiceMeans,
): Exchange<WriteOutcome[] | null> {
  const attributes = group.map(({ attribute, selection = null }) => ({
    attribute,
    accessSelection: selection,
  }));
  const values = group.map(({ value }) => value);
  const head = { apdu: "set-request", invokeIdAndPriority: means.nextInvokeId() } as const;
  const response = yield* send(
    { ...head, kind: "with-list", attributes, values },
    (block) => ({ ...head, kind: "with-list-and-first-datablock", attributes, ...block }),
    () => encoded(VALUE_LIST, values),
    means,
  );
  if (rejection(response) !== null) return null;
  if (response.apdu !== "set-response") throw unexpected(response, "set-response");
  switch (response.kind) {
    case "with-list":
    case "last-datablock-with-list":
      expectAsMany(response.results, group);
      return response.results.map(outcomeOf);
    case "normal":
    case "last-datablock":
      // A refusal of the whole list.
      if (response.result !== "success") return null;
  }
  throw unexpected(response, "set-response (with-list)");
}

const VALUE_LIST = sequenceOf(data);

/** Sends a request whole, or in blocks where it is longer than an APDU. */
function* send(
  whole: Apdu & { apdu: "set-request" },
  first: BlockForms["first"],
  octets: () => Buffer,
  means: ServiceMeans,
): Exchange<Apdu> {
  if (!isTooLong(writeApdu(whole).length, CONFORMANCE.blockTransferWithSet, means)) return yield whole;
  const { apdu, invokeIdAndPriority } = whole;
  const forms: BlockForms = {
    first,
    next: (block) => ({ apdu, kind: "with-datablock", invokeIdAndPriority, ...block }),
    acknowledged: (response) =>
      response.apdu === "set-response" && response.kind === "datablock" ? response.blockNumber : null,
  };
  return yield* sendInBlocks(octets(), forms, means);
}

const outcomeOf = (result: string | number): WriteOutcome =>
  result === "success" ? { kind: "done" } : { kind: "refused", result: result as "other-reason" };
