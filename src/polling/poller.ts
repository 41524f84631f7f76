import { stopController } from "../stop.ts";
import type { ClaimedPoll, PollTasks } from "../storage/poll-tasks.ts";
import { StorageError } from "../storage/storage-error.ts";
import { PollError } from "./meter-association.ts";
import { MeterVisit } from "./meter-visit.ts";
import { type PollSurroundings, pollMeter } from "./poll-session.ts";
import { PollTally } from "./read-part.ts";
import { ReadingError } from "./reading-error.ts";
import { type PollResult, retryOf } from "./retry.ts";

export interface PollObserver {
  /** `retried`: it is tried again. */
  done(poll: ClaimedPoll, result: PollResult, seconds: number, retried: boolean): void;
  /** The last attempt failed. Not told of gaps, which are tried again by themselves. */
  givenUp(poll: ClaimedPoll, result: PollResult, error: string): void;
  /** Not the meter's fault: the queue itself can't be worked on. */
  failed(error: unknown): void;
}

export interface PollerOptions {
  readonly tasks: PollTasks;
  readonly around: PollSurroundings;
  readonly observer: PollObserver;
  /** Polls at the same time. */
  readonly pollsMax: number;
  readonly clientSap: number;
  /** Told of a poll that filled a gap, or didn't. */
  readonly onGap: (poll: ClaimedPoll, result: PollResult, error: string | null) => Promise<void>;
  readonly random: () => number;
}

/** Of the polls at the same time, at most this share fills gaps, so that what is due finds a place. */
const GAP_SHARE = 0.25;
/** How often the queue is looked at while something waits in it. */
const LOOK_MS = 1_000;

/** Takes polls off the queue, as many at a time as it may, and makes them. */
export class Poller {
  private readonly with: PollerOptions;
  private readonly stopping = stopController();
  private readonly running = new Map<ClaimedPoll, Promise<void>>();
  /** By meter: the end of its line. One association per meter at a time. */
  private readonly lines = new Map<string, Promise<void>>();
  private claiming: Promise<void> | null = null;
  private lookAgain = false;
  private timer: NodeJS.Timeout | null = null;

  constructor(options: PollerOptions) {
    this.with = options;
  }

  /** Looks at the queue now: something was put into it, or a place is free. */
  wake(): void {
    if (this.stopping.signal.aborted) return;
    if (this.claiming !== null) {
      this.lookAgain = true;
      return;
    }
    this.claiming = this.claim()
      .catch((error: unknown) => this.with.observer.failed(error))
      .finally(() => {
        this.claiming = null;
        if (this.lookAgain) {
          this.lookAgain = false;
          this.wake();
        }
      });
  }

  /** Keeps leases, and takes off what came to nothing. To be called at every tick. */
  async tick(nowMs: number): Promise<void> {
    await this.with.tasks.renew([...this.running.keys()]);
    await this.with.tasks.giveUpStale(nowMs);
    this.wake();
  }

  /** No new polls; those that are being made are broken off and given back. */
  async stop(): Promise<void> {
    this.stopping.abort();
    if (this.timer !== null) clearTimeout(this.timer);
    await this.claiming;
    await Promise.all(this.running.values());
  }

  /** Resolves when nothing is being polled and nothing more could be claimed. For demonstrations and tests. */
  async idle(): Promise<void> {
    while (this.claiming !== null || this.running.size > 0) {
      await this.claiming;
      await Promise.all(this.running.values());
    }
  }

  private async claim(): Promise<void> {
    const { tasks, around, pollsMax, clientSap } = this.with;
    const free = pollsMax - this.running.size;
    if (free <= 0) return;
    const gaps = [...this.running.keys()].filter(({ purpose }) => purpose === "gap").length;
    const gapsMax = Math.max(0, Math.max(1, Math.floor(pollsMax * GAP_SHARE)) - gaps);
    const claimed = await tasks.claim({ nowMs: around.now(), pollsMax: free, gapsMax, clientSap });
    for (const polls of visits(claimed)) this.begin(polls);
    if (claimed.length === free) return;
    if (await tasks.waiting()) this.lookLater();
  }

  private lookLater(): void {
    if (this.timer !== null || this.stopping.signal.aborted) return;
    this.timer = setTimeout(() => {
      this.timer = null;
      this.wake();
    }, LOOK_MS);
    this.timer.unref();
  }

  private begin(polls: readonly ClaimedPoll[]): void {
    const { id } = polls[0]!.meter;
    const before = this.lines.get(id) ?? Promise.resolve();
    const work = before.then(() => this.visit(polls));
    this.lines.set(id, work);
    for (const poll of polls) this.running.set(poll, work);
    work.finally(() => {
      for (const poll of polls) this.running.delete(poll);
      if (this.lines.get(id) === work) this.lines.delete(id);
      this.wake();
    });
  }

  /** Never rejects. */
  private async visit(polls: readonly ClaimedPoll[]): Promise<void> {
    const visit = new MeterVisit(this.with.around.roads, this.stopping.signal);
    for (const poll of polls) await this.make(poll, visit);
    await visit.leave();
  }

  /** Never rejects. */
  private async make(poll: ClaimedPoll, visit: MeterVisit): Promise<void> {
    const { around, observer, tasks, random } = this.with;
    const started = performance.now();
    const tally = new PollTally();
    const failure = await this.attempt(poll, visit, tally);
    const result = failure === null ? "applied" : resultOf(failure);
    const error = failure === null ? leftOver(tally) : textOf(failure);
    const retry = failure === null ? null : retryOf(poll, result, around.now(), random());
    observer.done(poll, result, (performance.now() - started) / 1_000, retry !== null);
    if (result === "fault") observer.failed(failure);
    try {
      const { values, rows, octets } = tally;
      await tasks.close(poll, { verdict: result, values, rows, octets, error }, retry);
      if (retry !== null) return;
      if (poll.purpose === "gap") await this.with.onGap(poll, result, error);
      else if (failure !== null) observer.givenUp(poll, result, error ?? result);
    } catch (unwritten) {
      // Its lease ends, and it is made again.
      observer.failed(unwritten);
    }
  }

  private async attempt(poll: ClaimedPoll, visit: MeterVisit, tally: PollTally): Promise<unknown> {
    try {
      await pollMeter(poll, this.with.around, visit, tally);
      return null;
    } catch (error) {
      await visit.leave();
      return error ?? new Error("a poll failed without a reason");
    }
  }
}

/** Polls that share an association, in the order in which they were claimed. */
function visits(claimed: readonly ClaimedPoll[]): ClaimedPoll[][] {
  const groups: ClaimedPoll[][] = [];
  for (const poll of claimed) {
    const group = groups.find(([first]) => MeterVisit.fits(first!, poll));
    if (group === undefined) groups.push([poll]);
    else group.push(poll);
  }
  return groups;
}

function resultOf(error: unknown): PollResult {
  if (error instanceof PollError || error instanceof ReadingError) return error.failure;
  if (error instanceof StorageError) return "storage";
  return (error as { name?: unknown }).name === "AbortError" ? "aborted" : "fault";
}

const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

const leftOver = ({ left, reason }: PollTally): string | null =>
  left === 0 ? null : `${left} rows could not be stored: ${reason}`;
