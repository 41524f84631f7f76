import { expect, it } from "vitest";
import { BATCH_LIMITS, Batcher } from "../../src/ingest/batcher.ts";
import type { IngestObserver } from "../../src/ingest/observer.ts";
import { stopController } from "../../src/stop.ts";
import type { AcceptedPush, CommitOutcome } from "../../src/storage/accepted-push.ts";

/** More than anybody stores. */
const OFFERED_PER_MS = 8;
/** Until the pace of the database is known, and how long it is watched then. */
const SETTLING_SECONDS = 10;
const SECONDS = 10;

/**
 * Pushes a second that come to COMMIT where a transaction takes so long whatever it holds, as over a long way or to a standby that must confirm it, while
 * meters are read from as far ahead as is worth it.
 */
async function rateAt(transactionMs: number): Promise<number> {
  let now = 0;
  let timers: { at: number; call: () => void }[] = [];
  const after = (ms: number, call: () => void) => {
    const timer = { at: now + ms, call };
    timers.push(timer);
    return () => {
      timers = timers.filter((other) => other !== timer);
    };
  };
  const clock = {
    now: () => now,
    monotonic: () => now,
    after,
    soon: (call: () => void) => void after(0, call),
  };
  const log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
  const outcome = { verdict: "applied" } as CommitOutcome;
  let underway = 0;
  let stored = 0;
  const commit = (pushes: readonly AcceptedPush[]) =>
    new Promise<CommitOutcome[]>((resolve) => {
      after(transactionMs, () => resolve(pushes.map(() => outcome)));
    });
  const patience = { stop: stopController().signal, clock };
  const observer = { dbWriteSeconds: () => {} } as unknown as IngestObserver;
  const batcher = new Batcher({ commit }, observer, log, patience);
  const settled = () => {
    underway--;
    if (now > SETTLING_SECONDS * 1_000) stored++;
  };
  for (let meters = 0; now < (SETTLING_SECONDS + SECONDS) * 1_000; now++) {
    for (let n = 0; n < OFFERED_PER_MS && underway <= batcher.worthWaiting; n++, underway++) {
      batcher.add({ push: { meterId: `meter ${meters++}` } as AcceptedPush, settled });
    }
    for (let due = timers.find(({ at }) => at <= now); due; due = timers.find(({ at }) => at <= now)) {
      const call = due;
      timers = timers.filter((timer) => timer !== call);
      call.call();
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
  return stored / SECONDS;
}

it.each([50, 150, 200])("transactions of %d ms are filled where more comes than they take", async (ms) => {
  const { pushesMax, inFlightMax } = BATCH_LIMITS;
  const most = Math.min(OFFERED_PER_MS * 1_000, (pushesMax * inFlightMax * 1_000) / ms);
  expect(await rateAt(ms)).toBeGreaterThan(0.9 * most);
});
