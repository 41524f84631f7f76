import type { ClaimedPoll } from "../storage/poll-tasks.ts";
import type { MeterAssociation, MeterRoads } from "./meter-association.ts";
import type { MeterVisit } from "./meter-visit.ts";
import type { ModelKnowledge } from "./model-knowledge.ts";
import type { PolledRows } from "./polled-rows.ts";
import { readObjects } from "./read-objects.ts";
import type { PollTally, ReadPart } from "./read-part.ts";
import { type NewestCaptures, readProfile } from "./read-profile.ts";
import { type Reading, readingsOf } from "./readings.ts";

/** What all polls share. */
export interface PollSurroundings {
  readonly roads: MeterRoads;
  readonly knowledge: ModelKnowledge;
  readonly newest: NewestCaptures;
  readonly rows: PolledRows;
  /** Milliseconds since 1970 UTC by the clock that schedules are fired by. */
  readonly now: () => number;
  /** IANA zone of meters that have none of their own. */
  readonly zone: string;
  /** Rows that are asked for at once; each such step is stored before the next. */
  readonly stepRowsMax: number;
  /** How far back is read of a meter of which nothing is stored. */
  readonly firstReadMs: number;
}

/**
 * One poll: the association is opened, what its list names is read part by part, and each part is stored by the same mapping as a push
 * before the next is asked for. A link that breaks therefore costs a part; the next attempt goes on from the newest stored capture.
 * @throws PollError, ReadingError, StorageError; `tally` says what was stored until then
 */
export async function pollMeter(
  poll: ClaimedPoll,
  around: PollSurroundings,
  visit: MeterVisit,
  tally: PollTally,
): Promise<void> {
  const association = await visit.enter(poll);
  for (const reading of readingsOf(poll.list)) {
    for await (const part of partsOf(reading, association, poll, around)) {
      tally.read(part);
      tally.stored(await around.rows.store(part, poll));
    }
  }
}

function partsOf(
  reading: Reading,
  association: MeterAssociation,
  poll: ClaimedPoll,
  around: PollSurroundings,
): AsyncIterable<ReadPart> {
  return reading.kind === "profile"
    ? readProfile(association, poll, reading.logicalName, around)
    : readObjects(association, poll, reading.elements, around);
}
