import type { Data } from "../encoding/data-types.ts";
import type { AccessRequest, AccessResponse } from "../xdlms/access.ts";
import { type Exchange, rejection, type ServiceMeans, unexpected } from "./client-exchange.ts";
import { expectAsMany } from "./client-lists.ts";
import { PeerProtocolError } from "./errors.ts";
import type {
  InvokeOutcome,
  InvokeRequest,
  ReadOutcome,
  ReadRequest,
  WriteOutcome,
  WriteRequest,
} from "./requests.ts";

/** Confirmed, high priority; the invoke id below. */
const CONFIRMED = 0x4000_0000;
const HIGH_PRIORITY = 0x8000_0000;
const NOTHING: Data = { type: "null-data", value: null };

type Specification = AccessRequest["specifications"][number];
type Result = AccessResponse["results"][number];

/** Reads attributes in one ACCESS. null where the meter refuses the service. */
export function readByAccess(
  requests: readonly ReadRequest[],
  means: ServiceMeans,
): Exchange<ReadOutcome[] | null> {
  const asked = requests.map(({ attribute, selection }): Asked => {
    const specification: Specification = selection
      ? { kind: "get-with-selection", attribute, accessSelection: selection }
      : { kind: "get", attribute };
    return { specification, data: NOTHING };
  });
  return accessed(
    asked,
    "get",
    means,
    ({ result }, value): ReadOutcome =>
      result === "success" ? { kind: "data", value } : { kind: "refused", result: result as "other-reason" },
  );
}

/** Writes attributes in one ACCESS. null where the meter refuses the service. */
export function writeByAccess(
  requests: readonly WriteRequest[],
  means: ServiceMeans,
): Exchange<WriteOutcome[] | null> {
  const asked = requests.map(({ attribute, selection, value }): Asked => {
    const specification: Specification = selection
      ? { kind: "set-with-selection", attribute, accessSelection: selection }
      : { kind: "set", attribute };
    return { specification, data: value };
  });
  return accessed(
    asked,
    "set",
    means,
    ({ result }): WriteOutcome =>
      result === "success" ? { kind: "done" } : { kind: "refused", result: result as "other-reason" },
  );
}

/** Invokes methods in one ACCESS. null where the meter refuses the service. */
export function invokeByAccess(
  requests: readonly InvokeRequest[],
  means: ServiceMeans,
): Exchange<InvokeOutcome[] | null> {
  const asked = requests.map(
    ({ method, parameters }): Asked => ({
      specification: { kind: "action", method },
      data: parameters ?? NOTHING,
    }),
  );
  return accessed(
    asked,
    "action",
    means,
    ({ result }, value): InvokeOutcome =>
      result === "success"
        ? { kind: "done", value: value.type === "null-data" ? null : value }
        : { kind: "refused", result },
  );
}

interface Asked {
  readonly specification: Specification;
  readonly data: Data;
}

function* accessed<Outcome>(
  asked: readonly Asked[],
  kind: Result["kind"],
  means: ServiceMeans,
  outcomeOf: (result: Result, value: Data) => Outcome,
): Exchange<Outcome[] | null> {
  const response = yield {
    apdu: "access-request",
    longInvokeId: (HIGH_PRIORITY + CONFIRMED + (means.nextInvokeId() & 0x0f)) >>> 0,
    dateTime: null,
    specifications: asked.map(({ specification }) => specification),
    data: asked.map(({ data }) => data),
  };
  if (rejection(response) !== null) return null;
  if (response.apdu !== "access-response") throw unexpected(response, "access-response");
  const { data, results } = response;
  expectAsMany(data, asked);
  expectAsMany(results, asked);
  return results.map((result, at) => {
    if (result.kind !== kind) {
      throw new PeerProtocolError("malformed", `a result of ${result.kind} for a ${kind}`);
    }
    return outcomeOf(result, data[at]!);
  });
}
