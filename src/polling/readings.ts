import type { ClaimedPoll, PollElement } from "../storage/poll-tasks.ts";

/** What a list asks of a meter: rows of a profile, or objects read by themselves, which make one row. */
export type Reading =
  | { readonly kind: "profile"; readonly logicalName: string }
  | { readonly kind: "objects"; readonly elements: readonly PollElement[] };

const PROFILE_GENERIC = 7;
const BUFFER = 2;

/** The elements of a list in its order; objects that stand between two profiles are read together. */
export function readingsOf({ elements }: ClaimedPoll["list"]): Reading[] {
  const readings: Reading[] = [];
  for (const element of elements) {
    if (element.classId === PROFILE_GENERIC && element.attribute === BUFFER) {
      readings.push({ kind: "profile", logicalName: element.code });
      continue;
    }
    const last = readings.at(-1);
    if (last?.kind !== "objects") readings.push({ kind: "objects", elements: [element] });
    else readings[readings.length - 1] = { kind: "objects", elements: [...last.elements, element] };
  }
  return readings;
}
