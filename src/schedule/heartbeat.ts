import { schedule } from "node-cron";

/** Something that is due now and then. What is due is computed from the clock at a tick, never from the tick itself. */
export interface Duty {
  readonly name: string;
  /** Least time between two runs. */
  readonly everyMs: number;
  run(now: number): Promise<void>;
}

export interface Heartbeat {
  /** More duties, from the next tick on. */
  add(duties: readonly Duty[]): void;
  /** Runs everything that is due; what still runs from an earlier tick is left alone. For tests and for the start. */
  beat(now: number): Promise<void>;
  /** Runs every duty now, due or not; what runs already is waited for. */
  perform(): Promise<void>;
  /** No more ticks; resolves when what runs has ended, the second time too. */
  stop(): Promise<void>;
}

export interface HeartbeatLog {
  error(fields: object, text: string): void;
}

/** Every ten seconds, in UTC: see docs/adr/0005-node-cron-is-a-tick.md. */
const TICK = "*/10 * * * * *";
/** A tick that comes late on a busy machine is a tick all the same. */
const LATE_MS = 9_000;
/** The clock is looked at so long before each full second: node-cron looks at it then. */
const LOOK_BEFORE_MS = 20;
/** What clocks drift apart within a second is less. */
const STEP_MS = 500;

/**
 * The daemon's only periodic task. A duty that fails is logged and tried again at its next time.
 * A clock that was set back doesn't stop it: a last run that lies in the future counts as never.
 */
export function startHeartbeat(
  first: readonly Duty[],
  log: HeartbeatLog,
  now: () => number = Date.now,
): Heartbeat {
  const duties = [...first];
  let stopped: Promise<void> | null = null;
  const lastRun = new Map<Duty, number>();
  const running = new Map<Duty, Promise<void>>();

  const perform = async (duty: Duty, at: number): Promise<void> => {
    try {
      await duty.run(at);
    } catch (error) {
      log.error(
        { err: error, duty: duty.name },
        "a periodic duty failed; it is tried again at its next time",
      );
    } finally {
      running.delete(duty);
    }
  };
  const isDue = (duty: Duty, at: number): boolean => {
    const last = lastRun.get(duty);
    return !running.has(duty) && (last === undefined || at - last >= duty.everyMs || last > at);
  };
  const begin = (duty: Duty, at: number): Promise<void> => {
    lastRun.set(duty, at);
    const run = perform(duty, at);
    running.set(duty, run);
    return run;
  };
  const beat = async (at: number): Promise<void> => {
    await Promise.all(duties.filter((duty) => isDue(duty, at)).map((duty) => begin(duty, at)));
  };

  const tick = startTick(() => void beat(now()));
  return {
    add: (more) => void duties.push(...more),
    beat,
    perform: async () => {
      await Promise.all(duties.map((duty) => running.get(duty) ?? begin(duty, now())));
    },
    stop: () => {
      stopped ??= tick.stop().then(async () => void (await Promise.all(running.values())));
      return stopped;
    },
  };
}

/**
 * A tick that a step of the clock doesn't reach. node-cron waits for a time of day: set back by an hour it would be silent for an hour, and set
 * on by a year it would count all ticks of a year before anything else ran. So its task is made anew whenever the clock has left the monotonic one.
 */
function startTick(beat: () => void): { stop(): Promise<void> } {
  const make = () =>
    schedule(TICK, beat, {
      timezone: "Etc/UTC",
      missedExecutionTolerance: LATE_MS,
      // Missed ticks mean nothing here, and node-cron would report each of them.
      suppressMissedWarning: true,
    });
  const apart = () => Date.now() - performance.now();
  let task = make();
  let known = apart();
  let timer: NodeJS.Timeout;
  const look = () => {
    const found = apart();
    if (Math.abs(found - known) > STEP_MS) {
      void task.destroy();
      task = make();
    }
    known = found;
    arm();
  };
  const arm = () => {
    const toSecond = 1_000 - (Date.now() % 1_000) - LOOK_BEFORE_MS;
    timer = setTimeout(look, toSecond > 0 ? toSecond : toSecond + 1_000);
  };
  arm();
  return {
    stop: async () => {
      clearTimeout(timer);
      await task.destroy();
    },
  };
}
