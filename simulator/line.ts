import { Doubtful } from "./doubtful.ts";
import type { LineCounts } from "./line-counts.ts";
import { type ConnectionHabit, closingSteps, type Job, plainly, repetition, type Step } from "./line-job.ts";
import { type Dial, endedInOrder, type Heard, type Target, type Uplink } from "./uplink.ts";

const RETRY_FIRST_MS = 200;
const RETRY_MAX_MS = 5_000;
/** Connections of a fleet that may be half-open at once: file descriptors are limited. */
const HALF_OPEN_MAX = 500;

/** The way of one meter to the head-end: pushes leave in order, over one connection or over one each. */
export class MeterLine {
  readonly #target: Target;
  readonly #habit: ConnectionHabit;
  readonly #dial: Dial;
  readonly #counts: LineCounts;
  #queue: Job[] = [];
  #current: Job | null = null;
  /** Of the current job: the step that comes next. */
  #at = 0;
  #uplink: Uplink | null = null;
  readonly #doubtful = new Doubtful();
  /** A piece of a push is out, and the next one isn't yet. */
  #isWithinPush = false;
  /** What the meter answers meanwhile. */
  #answers: Buffer[] = [];
  #abandoned: Uplink[] = [];
  /** Something must happen first: a connection, room in it, its end. */
  #busy = false;
  /** The connection's end was asked for. */
  #ending = false;
  #stopped = false;
  #retryMs = RETRY_FIRST_MS;
  #timer: NodeJS.Timeout | null = null;
  #idle: (() => void) | null = null;
  /** Told of each connection that is made: a head-end may talk to the meter over it. */
  onConnection: ((connection: Heard) => void) | null = null;

  constructor(target: Target, habit: ConnectionHabit, dial: Dial, counts: LineCounts) {
    this.#target = target;
    this.#habit = habit;
    this.#dial = dial;
    this.#counts = counts;
  }

  /**
   * @param steps how the push goes over the line; plainly where absent
   * @param onPlain called when nobody knows whether what else the steps had has arrived
   */
  send(
    octets: Buffer,
    onSent: () => void,
    steps: readonly Step[] = [{ kind: "octets", octets }],
    onPlain: () => void = nothing,
  ): void {
    this.#queue.push({
      steps: [...steps, ...closingSteps(this.#habit)],
      octets,
      onSent,
      onPlain,
      sentAtMs: 0,
    });
    this.#counts.waiting++;
    this.#work();
  }

  /** Hangs up in between, behind what waits. */
  hangUp(how: "close" | "reset" | "abandon"): void {
    const steps = [{ kind: "hang-up", how }] as const;
    this.#queue.push({ steps, octets: NOTHING, onSent: nothing, onPlain: nothing, sentAtMs: 0 });
    this.#counts.waiting++;
    this.#work();
  }

  /** Sends what waits, then hangs up. What a head-end that is away does not take within `timeoutMs` is left. */
  async finish(timeoutMs: number): Promise<void> {
    if (this.#queue.length > 0 || this.#current !== null || this.#busy) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, timeoutMs);
        this.#idle = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    this.#stopped = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    for (const uplink of this.#abandoned) uplink.destroy();
    const uplink = this.#uplink;
    this.#ending = true;
    if (uplink !== null && !(await endedInOrder(uplink, timeoutMs))) {
      this.#counts.doubtful += this.#doubtful.count;
    }
  }

  #work(): void {
    while (!this.#busy && !this.#stopped && this.#timer === null) {
      if (this.#current === null) {
        const next = this.#queue.shift();
        if (next === undefined) {
          this.#idle?.();
          return;
        }
        this.#current = next;
        this.#at = 0;
      }
      this.#perform(this.#current);
    }
  }

  #perform(job: Job): void {
    const step = job.steps[this.#at];
    if (step === undefined) {
      this.#current = null;
      this.#counts.waiting--;
    } else if (step.kind === "octets") {
      if (this.#uplink === null) this.#connect();
      else this.#write(this.#uplink, job, step.octets);
    } else {
      this.#at++;
      if (step.kind === "pause") this.#pause(step.ms);
      else if (this.#uplink !== null) this.#end(this.#uplink, step.how);
    }
  }

  #connect(): void {
    this.#busy = true;
    this.#dial(this.#target).then(
      (uplink) => {
        this.#busy = false;
        this.#counts.connections++;
        this.#retryMs = RETRY_FIRST_MS;
        this.#uplink = uplink;
        this.#isWithinPush = false;
        this.#answers = [];
        this.#repeatDoubtful();
        uplink.onClose((error) => this.#closed(uplink, error !== null));
        uplink.onDrain(() => this.#resume(uplink));
        const { onData } = uplink;
        if (onData !== undefined) this.onConnection?.(this.#heard(uplink, onData.bind(uplink)));
        if (this.#stopped) uplink.destroy();
        else this.#work();
      },
      () => {
        this.#busy = false;
        this.#counts.failures++;
        this.#later();
      },
    );
  }

  /** What others write on the connection goes between two pushes, never in the middle of one. */
  #heard(uplink: Uplink, onData: Heard["onData"]): Heard {
    return {
      get closed() {
        return uplink.closed;
      },
      onClose: (listener) => uplink.onClose(listener),
      onData,
      write: (octets) => {
        // On a connection that it has forgotten a meter says nothing.
        if (uplink !== this.#uplink) return false;
        if (!this.#isWithinPush) return uplink.write(octets);
        this.#answers.push(octets);
        return true;
      },
    };
  }

  #write(uplink: Uplink, job: Job, octets: Buffer): void {
    if (uplink.closed) {
      this.#busy = true; // until it says so itself
      return;
    }
    this.#at++;
    const taken = uplink.write(octets);
    this.#counts.octets += octets.length;
    if (!job.steps.slice(this.#at).some(({ kind }) => kind === "octets")) this.#sent(job);
    this.#isWithinPush = job.steps.slice(this.#at).find(({ kind }) => kind !== "pause")?.kind === "octets";
    if (!this.#isWithinPush) for (const answer of this.#answers.splice(0)) uplink.write(answer);
    if (!taken && !uplink.closed) this.#busy = true;
  }

  #sent(job: Job): void {
    if (job.sentAtMs > 0) this.#counts.repeats++;
    else job.onSent();
    job.sentAtMs = Date.now();
    if (job.octets.length > 0) this.#doubtful.add(job);
  }

  #pause(ms: number): void {
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#work();
    }, ms);
  }

  #end(uplink: Uplink, how: "close" | "reset" | "abandon"): void {
    if (how === "close") {
      // The next step waits until this connection is gone: the other side has read everything then. Were the next push to overtake it,
      // its counter would be refused.
      this.#busy = true;
      this.#ending = true;
      uplink.end();
      return;
    }
    this.#uplink = null;
    if (how === "reset") uplink.destroy();
    else if (this.#counts.halfOpen < HALF_OPEN_MAX) {
      this.#counts.halfOpen++;
      this.#abandoned.push(uplink);
    } else uplink.end();
  }

  #resume(uplink: Uplink): void {
    if (uplink !== this.#uplink || this.#ending) return;
    this.#busy = false;
    this.#work();
  }

  #closed(uplink: Uplink, broken: boolean): void {
    if (this.#abandoned.includes(uplink)) {
      this.#abandoned = this.#abandoned.filter((other) => other !== uplink);
      this.#counts.halfOpen--;
    }
    if (uplink !== this.#uplink) return;
    this.#uplink = null;
    this.#busy = false;
    const asked = this.#ending;
    this.#ending = false;
    // Whoever hangs up and is answered by a reset does not know what was read before.
    if (asked && !broken) this.#doubtful.take();
    else if (!this.#stopped) {
      this.#counts.failures++;
      this.#beginAgain();
      this.#repeatDoubtful();
      this.#later();
      return;
    }
    this.#work();
  }

  /** What was begun when the connection broke is begun again, as it should be. */
  #beginAgain(): void {
    const current = this.#current;
    this.#current = null;
    if (current === null) return;
    if (this.#at < current.steps.length) this.#queue.unshift(plainly(current, this.#habit));
    else this.#counts.waiting--;
  }

  /**
   * Before anything else goes over a new connection, what the last one may not have delivered. The same octets again are a
   * retransmission, which a head-end tells from a new push.
   */
  #repeatDoubtful(): void {
    const again = this.#doubtful.take().map((push) => repetition(push, this.#habit));
    if (again.length === 0) return;
    const current = this.#current;
    const rest = current === null ? [] : [{ ...current, steps: current.steps.slice(this.#at) }];
    this.#current = null;
    this.#counts.waiting += again.length;
    this.#queue.unshift(...again, ...rest);
  }

  #later(): void {
    if (this.#stopped) return;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#pause(this.#retryMs);
    this.#retryMs = Math.min(RETRY_MAX_MS, this.#retryMs * 2);
  }
}

const NOTHING = Buffer.alloc(0);
const nothing = () => {};
