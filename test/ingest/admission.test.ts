import { describe, expect, it } from "vitest";
import { ADMISSION_LIMITS, Admission } from "../../src/ingest/admission.ts";

const { awayTurns, behindMax, catchUpMin } = ADMISSION_LIMITS;
const warm = (behind: number) => ({ behind, cold: 0, worthWaiting: 600 });
const backlog = { behind: 500_000, cold: 500_000, worthWaiting: 600 };

function stored(admission: Admission, count: number): Admission {
  for (let i = 0; i < count; i++) admission.noteStored();
  return admission;
}

function turns(admission: Admission, count: number): Admission {
  for (let i = 0; i < count; i++) admission.turn(true);
  return admission;
}

/** What is accepted in one turn while meters push without end. */
function acceptedInATurn(admission: Admission, waiting: typeof backlog): number {
  let accepted = 0;
  for (; accepted < 10_000 && !admission.isClosed(waiting); accepted++) admission.noteAccepted();
  admission.turn(true);
  return accepted;
}

describe("what is read from the sockets", () => {
  it("is as much as the log takes before the first COMMIT", () => {
    expect(new Admission(ADMISSION_LIMITS).isClosed(backlog)).toBe(false);
  });

  it("is no more than comes to COMMIT soon, however old that has become", () => {
    const admission = stored(new Admission(ADMISSION_LIMITS), 1);
    expect(admission.isClosed(warm(600))).toBe(false);
    expect(admission.isClosed(warm(601))).toBe(true);
    for (let i = 0; i < 100; i++) stored(turns(admission, 1), 1);
    expect(admission.isClosed(warm(601))).toBe(true);
    const fast = { behind: behindMax + 1, cold: 0, worthWaiting: 4_000 };
    expect(admission.isClosed(fast)).toBe(true);
  });

  it("is as much as the log takes again when no COMMIT has come for some turns", () => {
    const admission = stored(new Admission(ADMISSION_LIMITS), 1);
    turns(admission, 1);
    expect(turns(admission, awayTurns - 1).isClosed(warm(601))).toBe(true);
    expect(turns(admission, 1).isClosed(warm(601))).toBe(false);
    expect(stored(admission, 1).isClosed(warm(601))).toBe(true);
    // A night in which nobody pushes says nothing of the database.
    for (let i = 0; i < 100; i++) admission.turn(false);
    expect(admission.isClosed(warm(601))).toBe(true);
  });

  it("is half of what was stored while an outage's rest is in the log, so that it shrinks", () => {
    const admission = new Admission(ADMISSION_LIMITS);
    turns(stored(admission, 1_000), 1);
    expect(acceptedInATurn(stored(admission, 1_000), backlog)).toBe(500);
    expect(acceptedInATurn(stored(admission, 10), backlog)).toBe(500);
    expect(acceptedInATurn(stored(admission, 10), backlog)).toBe(catchUpMin);
  });
});
