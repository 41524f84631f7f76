import type { TcpConnection } from "../src/transports/tcp-connection.ts";
import { dialTcp } from "../src/transports/tcp-dialler.ts";

/** As much of a connection as a meter uses. */
export type Uplink = Pick<TcpConnection, "write" | "close" | "onClose" | "onDrain" | "closed">;

export interface Target {
  readonly host: string;
  readonly port: number;
}

export type Dial = (target: Target) => Promise<Uplink>;

export const dialTarget: Dial = (target) => dialTcp(target);

export type ConnectionHabit = "standing" | "per-push";

/** What the lines of a fleet count together. */
export interface LineCounts {
  /** Connections made. */
  connections: number;
  /** Connections that could not be made, or broke. */
  failures: number;
  /** Octets handed to a connection. */
  octets: number;
  /** Pushes sent once more because the connection broke behind them. */
  repeats: number;
  /** Pushes that wait to be sent. */
  waiting: number;
}

interface Item {
  readonly octets: Buffer;
  /** Called when the octets were handed to a connection for the first time. */
  readonly onSent: () => void;
  /** When it was handed to a connection last, real ms since 1970; 0: not yet. */
  sentAtMs: number;
}

/** Pushes that a connection may have taken along when it broke: the last so many, not older than so long. */
const DOUBTFUL_MAX = 16;
const DOUBTFUL_MS = 10_000;
const RETRY_FIRST_MS = 200;
const RETRY_MAX_MS = 5_000;

/** The way of one meter to the head-end: pushes leave in order, over one connection or over one each. */
export class MeterLine {
  readonly #target: Target;
  readonly #habit: ConnectionHabit;
  readonly #dial: Dial;
  readonly #counts: LineCounts;
  readonly #queue: Item[] = [];
  #uplink: Uplink | null = null;
  #doubtful: Item[] = [];
  #busy = false;
  #stopped = false;
  #retryMs = RETRY_FIRST_MS;
  #timer: NodeJS.Timeout | null = null;
  #idle: (() => void) | null = null;

  constructor(target: Target, habit: ConnectionHabit, dial: Dial, counts: LineCounts) {
    this.#target = target;
    this.#habit = habit;
    this.#dial = dial;
    this.#counts = counts;
  }

  send(octets: Buffer, onSent: () => void): void {
    this.#queue.push({ octets, onSent, sentAtMs: 0 });
    this.#counts.waiting++;
    this.#work();
  }

  /** Sends what waits, then hangs up. What a head-end that is away does not take within `timeoutMs` is left. */
  async finish(timeoutMs: number): Promise<void> {
    if (this.#queue.length > 0 || this.#busy) {
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
    const uplink = this.#uplink;
    if (uplink === null) return;
    await new Promise<void>((resolve) => {
      uplink.onClose(() => resolve());
      uplink.close();
    });
  }

  #work(): void {
    if (this.#busy || this.#stopped || this.#timer !== null) return;
    if (this.#queue.length === 0) {
      this.#idle?.();
      return;
    }
    const uplink = this.#uplink;
    if (uplink === null) this.#connect();
    else this.#write(uplink);
  }

  #connect(): void {
    this.#busy = true;
    this.#dial(this.#target).then(
      (uplink) => {
        this.#busy = false;
        this.#counts.connections++;
        this.#retryMs = RETRY_FIRST_MS;
        this.#uplink = uplink;
        uplink.onClose((error) => this.#closed(uplink, error !== null));
        uplink.onDrain(() => this.#resume(uplink));
        if (this.#stopped) uplink.close();
        else this.#work();
      },
      () => {
        this.#busy = false;
        this.#counts.failures++;
        this.#later();
      },
    );
  }

  #write(uplink: Uplink): void {
    if (uplink.closed) {
      this.#busy = true; // until it says so itself
      return;
    }
    const item = this.#queue.shift()!;
    this.#counts.waiting--;
    const taken = uplink.write(item.octets);
    this.#doubtful.push(item);
    if (this.#doubtful.length > DOUBTFUL_MAX) this.#doubtful.shift();
    this.#counts.octets += item.octets.length;
    if (item.sentAtMs > 0) this.#counts.repeats++;
    else item.onSent();
    item.sentAtMs = Date.now();
    if (this.#habit === "per-push") {
      // The next one waits until this connection is gone.
      this.#busy = true;
      uplink.close();
    } else if (taken) {
      this.#work();
    } else if (!uplink.closed) {
      this.#busy = true;
    }
  }

  #resume(uplink: Uplink): void {
    if (uplink !== this.#uplink || this.#habit === "per-push") return;
    this.#busy = false;
    this.#work();
  }

  #closed(uplink: Uplink, failed: boolean): void {
    if (uplink !== this.#uplink) return;
    this.#uplink = null;
    this.#busy = false;
    const doubtful = this.#doubtful;
    this.#doubtful = [];
    const asked = this.#habit === "per-push" && !failed;
    if (!asked && !this.#stopped) {
      this.#counts.failures++;
      // Whether they arrived is not known. The same octets again are a retransmission, which a head-end tells from a new push.
      const again = doubtful.filter(({ sentAtMs }) => Date.now() - sentAtMs < DOUBTFUL_MS);
      this.#queue.unshift(...again);
      this.#counts.waiting += again.length;
      this.#later();
      return;
    }
    this.#work();
  }

  #later(): void {
    if (this.#stopped) return;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#work();
    }, this.#retryMs);
    this.#retryMs = Math.min(RETRY_MAX_MS, this.#retryMs * 2);
  }
}
