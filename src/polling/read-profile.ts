import type { KnownProfile } from "../storage/model-profiles.ts";
import type { ClaimedPoll } from "../storage/poll-tasks.ts";
import type { MeterAssociation } from "./meter-association.ts";
import type { PollSurroundings } from "./poll-session.ts";
import { ProfileBuffer, type RefusedRows } from "./profile-buffer.ts";
import type { ReadPart } from "./read-part.ts";
import { rowsByEntry } from "./rows-by-entry.ts";
import { rowsByRange, spanOf } from "./rows-by-range.ts";

/** The newest capture that is stored of a meter, in milliseconds since 1970 UTC; null: none. */
export type NewestCaptures = (meterId: string, kind: "block" | "daily") => Promise<number | null>;

/** How rows are chosen, what is asked for most exactly first. */
const WAYS: readonly KnownProfile["selection"][] = ["range", "entry", "whole"];

/**
 * The rows of a profile. Load profiles are read from the newest stored capture on, in steps: by range of time, else by entry; of the
 * others, and where a meter refuses both, the whole buffer is read. The way that works is remembered for the meter's model.
 * @throws PollError, ReadingError
 */
export async function* readProfile(
  association: MeterAssociation,
  poll: ClaimedPoll,
  logicalName: string,
  around: PollSurroundings,
): AsyncGenerator<ReadPart> {
  const { meter, list } = poll;
  const known = await around.knowledge.profile(association, meter, logicalName);
  const buffer = new ProfileBuffer(association, meter, logicalName, known, around);
  const { kind } = list;
  if ((kind !== "block" && kind !== "daily") || buffer.clockColumn === null) {
    const refused = yield* wholeBuffer(buffer);
    if (refused !== null) throw buffer.refusal(refused);
    return;
  }
  let refused: RefusedRows | null = null;
  for (const way of WAYS.slice(WAYS.indexOf(known.selection))) {
    if (way === "whole") refused = yield* wholeBuffer(buffer);
    else {
      const span = await spanOf(poll, buffer.profile, kind, around);
      refused = yield* way === "range"
        ? rowsByRange(buffer, span, around)
        : rowsByEntry(buffer, span, around);
    }
    if (refused === null) {
      // Nothing given says nothing of the way.
      if (way !== known.selection && buffer.hasGiven) await around.knowledge.choose(meter, logicalName, way);
      return;
    }
  }
  throw buffer.refusal(refused!);
}

async function* wholeBuffer(buffer: ProfileBuffer): AsyncGenerator<ReadPart, RefusedRows | null> {
  const part = await buffer.read(null);
  if (!("rows" in part)) return part;
  yield part;
  return null;
}
