import type { Exchange, Quirk, ServiceMeans } from "./client-exchange.ts";
import { PeerProtocolError } from "./errors.ts";
import { CONFORMANCE } from "./mechanisms.ts";

/** A service that can be asked for several things at once. */
export interface ListableService<Request, Outcome> {
  /** What is remembered where a meter refuses its lists. */
  readonly quirk: Quirk;
  /** Whether the same may be asked again where nobody can tell what became of it. */
  readonly repeatable: boolean;
  /** Octets of a request in a list; `cut`: of what must stand in front of the first block. */
  readonly octetsOf: (request: Request, cut: boolean) => number;
  /** Conformance bit of the blocks in which a list is sent that is too long; 0: there are none. */
  readonly blockTransfer: number;
  readonly one: (request: Request, at: number, means: ServiceMeans) => Exchange<Outcome>;
  /** null where the meter refuses the list as such. */
  readonly list: (group: readonly Request[], at: number, means: ServiceMeans) => Exchange<Outcome[] | null>;
  /** The same by ACCESS. */
  readonly access: (group: readonly Request[], means: ServiceMeans) => Exchange<Outcome[] | null>;
}

/** Things asked for in one request, even where more would fit: meters have little memory. */
const LIST_MAX = 16;
/** Tag, choice, invoke-id, counts, block number and length; ACCESS has no more. */
const LIST_OVERHEAD = 20;

/**
 * Runs requests in as few APDUs as the meter's kind is known to take: in the service's own lists, else by ACCESS, else one by one. What it
 * refuses is remembered, and the next way tried.
 */
export function* inLists<Request, Outcome>(
  requests: readonly Request[],
  service: ListableService<Request, Outcome>,
  means: ServiceMeans,
): Exchange<Outcome[]> {
  const outcomes: Outcome[] = [];
  while (outcomes.length < requests.length) {
    const at = outcomes.length;
    const way = wayOf(service, means);
    const group = way === null ? [] : groupFrom(requests, at, service, way, means);
    if (way === null || group.length < 2) {
      outcomes.push(yield* service.one(requests[at]!, at, means));
      continue;
    }
    const listed = yield* tried(group, at, service, way, means);
    if (listed !== null) outcomes.push(...listed);
  }
  return outcomes;
}

/** ACCESS has one quirk for all three services; a list is refused by each for itself. */
type Way = "list" | "access";

function wayOf({ quirk }: { readonly quirk: Quirk }, { conformance, quirks }: ServiceMeans): Way | null {
  if ((conformance & CONFORMANCE.multipleReferences) !== 0 && !quirks.has(quirk)) return "list";
  return (conformance & CONFORMANCE.access) !== 0 && !quirks.has("access_refused") ? "access" : null;
}

/** As many as go into one request, or into the blocks of one. */
function groupFrom<Request>(
  requests: readonly Request[],
  at: number,
  { octetsOf, blockTransfer }: Pick<ListableService<Request, never>, "octetsOf" | "blockTransfer">,
  way: Way,
  means: ServiceMeans,
): readonly Request[] {
  const cut = way === "list" && (means.conformance & blockTransfer) !== 0;
  let count = 0;
  let octets = LIST_OVERHEAD;
  for (const request of requests.slice(at, at + LIST_MAX)) {
    octets += octetsOf(request, cut);
    if (octets > means.requestOctetsMax) break;
    count++;
  }
  return requests.slice(at, at + count);
}

/**
 * null where the meter refuses the way as such, or answers with what is no answer, as some do where the results don't fit into one APDU:
 * then it is remembered.
 * @throws PeerProtocolError also where it is no answer and the same may not be asked for again
 */
function* tried<Request, Outcome>(
  group: readonly Request[],
  at: number,
  service: ListableService<Request, Outcome>,
  way: Way,
  means: ServiceMeans,
): Exchange<Outcome[] | null> {
  const refused = way === "list" ? service.quirk : "access_refused";
  try {
    const outcomes =
      way === "list" ? yield* service.list(group, at, means) : yield* service.access(group, means);
    if (outcomes === null) means.quirks.add(refused);
    return outcomes;
  } catch (error) {
    if (!(error instanceof PeerProtocolError) || !NO_ANSWER.has(error.reason)) throw error;
    means.quirks.add(refused);
    if (service.repeatable) return null;
    throw error;
  }
}

/** The list's, not the association's: alone, each may be answered better. */
const NO_ANSWER: ReadonlySet<string> = new Set(["malformed", "limit"]);

/** @throws PeerProtocolError where there isn't a result for each of a list */
export function expectAsMany(results: readonly unknown[], group: readonly unknown[]): void {
  if (results.length === group.length) return;
  throw new PeerProtocolError("malformed", `${results.length} results for ${group.length} requests`);
}
