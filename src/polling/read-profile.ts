import { describeRefusal } from "../dlms/association/requests.ts";
import type { CaptureObjectDefinition } from "../dlms/cosem/capture-object.ts";
import { DataMismatch } from "../dlms/cosem/classes/data-codec.ts";
import { parseObis } from "../dlms/cosem/obis-code.ts";
import { clockColumnOf, profileRows } from "../dlms/cosem/profile-buffer.ts";
import { rowsBetween } from "../dlms/cosem/selective-access.ts";
import type { Data } from "../dlms/encoding/data-types.ts";
import { type CosemDateTime, dateTimeAt } from "../dlms/encoding/date-time.ts";
import { utcOffsetMinutes, zoneOfMeter } from "../mapping/zone.ts";
import type { KnownColumn, KnownProfile } from "../storage/model-profiles.ts";
import type { ClaimedPoll, PolledMeter } from "../storage/poll-tasks.ts";
import type { MeterAssociation, ReadOutcome } from "./meter-association.ts";
import type { PollSurroundings } from "./poll-session.ts";
import type { ReadPart } from "./read-part.ts";
import { ReadingError } from "./reading-error.ts";

/** The newest capture that is stored of a meter, in milliseconds since 1970 UTC; null: none. */
export type NewestCaptures = (meterId: string, kind: "block" | "daily") => Promise<number | null>;

const PROFILE_GENERIC = 7;
const BUFFER = 2;
const DAY_MS = 86_400_000;
/** A meter's clock may run ahead of ours; what it has captured by it is wanted too. */
const AHEAD_MS = 3_600_000;

/**
 * The rows of a profile. Load profiles are read by range of time, from the newest stored capture on, in steps; of the others (and where a
 * meter refuses ranges, which is remembered for its model) the whole buffer is read.
 * @throws PollError, ReadingError
 */
export async function* readProfile(
  association: MeterAssociation,
  poll: ClaimedPoll,
  logicalName: string,
  around: PollSurroundings,
): AsyncGenerator<ReadPart> {
  const { meter, list } = poll;
  let profile = await around.knowledge.profile(association, meter, logicalName);
  const read = async (selection: Selection | null): Promise<ReadPart | ReadOutcome> => {
    const { outcome, octets } = await readBuffer(association, logicalName, selection, meter, around);
    if (outcome.kind !== "data") return outcome;
    const rows = rowsOf(outcome.value, profile);
    if (rows !== null) return { columns: profile.columns, rows, octets };
    // It differs from the meter that its model is known by.
    profile = await around.knowledge.profileAgain(association, meter, logicalName);
    const again = rowsOf(outcome.value, profile);
    if (again !== null) return { columns: profile.columns, rows: again, octets };
    throw new ReadingError("unmappable", `rows of ${logicalName} don't fit its capture objects`);
  };
  const ranged = (list.kind === "block" || list.kind === "daily") && profile.selection === "range";
  if (ranged && clockColumnOf(objectsOf(profile.columns)) !== null) {
    let refused = false;
    for await (const selection of steps(poll, profile, list.kind as "block" | "daily", around)) {
      const part = await read(selection);
      if ("rows" in part) yield part;
      else if (selection.first) {
        refused = true;
        break;
      } else throw refusal(logicalName, part);
    }
    if (!refused) return;
    profile = await around.knowledge.wholeOnly(meter, logicalName, profile);
  }
  const part = await read(null);
  if (!("rows" in part)) throw refusal(logicalName, part);
  yield part;
}

function refusal(logicalName: string, outcome: ReadOutcome): ReadingError {
  const text = outcome.kind === "data" ? "no rows" : describeRefusal(outcome);
  return new ReadingError("refused", `the rows of ${logicalName} can't be read: ${text}`);
}

/** Rows captured between two instants, both included. */
interface Selection {
  readonly fromMs: number;
  readonly untilMs: number;
  readonly first: boolean;
}

async function* steps(
  poll: ClaimedPoll,
  { capturePeriodSeconds, profileEntries }: KnownProfile,
  kind: "block" | "daily",
  { now, newest, stepRowsMax, firstReadMs }: PollSurroundings,
): AsyncGenerator<Selection> {
  const periodMs = capturePeriodSeconds
    ? capturePeriodSeconds * 1_000
    : kind === "daily"
      ? DAY_MS
      : DAY_MS / 48;
  const memoryMs = profileEntries ? profileEntries * periodMs : Number.POSITIVE_INFINITY;
  let { fromMs, untilMs } = poll.range ?? { fromMs: 0, untilMs: now() + AHEAD_MS };
  if (poll.range === null) {
    const stored = await newest(poll.meter.id, kind);
    fromMs = Math.max(
      stored === null ? untilMs - firstReadMs : stored + 1_000,
      untilMs - AHEAD_MS - memoryMs,
    );
  }
  const stepMs = stepRowsMax * periodMs;
  let first = true;
  for (let at = fromMs; at <= untilMs; at += stepMs) {
    // Both ends are included: the next step begins a second later.
    yield { fromMs: at, untilMs: Math.min(at + stepMs - 1_000, untilMs), first };
    first = false;
  }
}

async function readBuffer(
  association: MeterAssociation,
  logicalName: string,
  selection: Selection | null,
  meter: PolledMeter,
  { zone }: PollSurroundings,
): Promise<{ outcome: ReadOutcome; octets: number }> {
  const attribute = { classId: PROFILE_GENERIC, instanceId: parseObis(logicalName), attributeId: BUFFER };
  const rows =
    selection === null
      ? null
      : rowsBetween(clockTime(selection.fromMs, meter, zone), clockTime(selection.untilMs, meter, zone));
  let octets = 0;
  const [outcome] = await association.read([{ attribute, selection: rows }], {
    onProgress: (progress) => (octets = progress.octets),
  });
  return { outcome: outcome!, octets };
}

/** An instant as the meter's clock shows it; with the deviation it says which one it is also where an hour comes twice. */
function clockTime(ms: number, meter: PolledMeter, zone: string): CosemDateTime {
  const offset = utcOffsetMinutes(zoneOfMeter(meter, zone), ms);
  return dateTimeAt(ms, meter.deviationSign === "standard" ? -offset : offset, offset);
}

function rowsOf(buffer: Data, profile: KnownProfile): Data[][] | null {
  try {
    return profileRows(buffer, objectsOf(profile.columns), profile.capturePeriodSeconds || null);
  } catch (error) {
    if (error instanceof DataMismatch) return null;
    throw error;
  }
}

function objectsOf(columns: readonly KnownColumn[]): CaptureObjectDefinition[] {
  return columns.map(({ classId, code, attribute, dataIndex }) => ({
    classId,
    logicalName: parseObis(code),
    attributeIndex: attribute,
    dataIndex,
  }));
}
