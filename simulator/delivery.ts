import type { LineCounts } from "./line-counts.ts";
import type { Step } from "./line-job.ts";

/** How a push setup has its pushes delivered: attributes 6 and 7 of class 40, and whether a confirmation is asked for. */
export interface DeliveryRule {
  readonly confirmed: boolean;
  /** Times that a push is sent once more. */
  readonly retries: number;
  /** Between two of them, ms of the world. */
  readonly repetitionMs: number;
}

/** A push on its way. */
export interface Delivered {
  readonly octets: Buffer;
  /** What its confirmation will bear. */
  readonly longInvokeId: number;
  readonly onSent: () => void;
  /** How it goes over the line; plainly where absent. */
  readonly steps?: readonly Step[];
  readonly onPlain?: () => void;
  readonly rule: DeliveryRule;
}

/** What takes octets in order. */
interface Line {
  send(octets: Buffer, onSent: () => void, steps?: readonly Step[], onPlain?: () => void): void;
}

/**
 * Pushes of one meter in their order. One that asks for a confirmation is sent again until it comes, as often as its push setup says, and
 * the next waits until then: were it to overtake, its counter would make the earlier one a replay.
 */
export class PushDelivery {
  readonly #line: Line;
  readonly #counts: LineCounts;
  #queue: Delivered[] = [];
  #current: Delivered | null = null;
  #sentTimes = 0;
  #timer: NodeJS.Timeout | null = null;
  #whenIdle: (() => void)[] = [];

  constructor(line: Line, counts: LineCounts) {
    this.#line = line;
    this.#counts = counts;
  }

  send(push: Delivered): void {
    if (this.#current === null && !push.rule.confirmed) {
      this.#hand(push);
      return;
    }
    this.#queue.push(push);
    this.#next();
  }

  /** A confirmation has come. */
  confirmed(longInvokeId: number): void {
    if (this.#current?.longInvokeId !== longInvokeId) return;
    this.#counts.confirmed++;
    this.#done();
  }

  /** Waits for no confirmation any more: the power is gone, or everything ends. */
  release(): void {
    if (this.#current !== null) this.#giveUp();
    for (const push of this.#queue.splice(0)) {
      if (push.rule.confirmed) this.#counts.unconfirmed++;
      this.#hand(push);
    }
  }

  /** Resolves when nothing waits for its confirmation, or `timeoutMs` have passed. */
  async idle(timeoutMs: number): Promise<void> {
    if (this.#current === null) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, timeoutMs);
      this.#whenIdle.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  #next(): void {
    while (this.#current === null) {
      const push = this.#queue.shift();
      if (push === undefined) {
        for (const resolve of this.#whenIdle.splice(0)) resolve();
        return;
      }
      if (push.rule.confirmed) this.#begin(push);
      else this.#hand(push);
    }
  }

  #hand({ octets, onSent, steps, onPlain }: Delivered): void {
    this.#line.send(octets, onSent, steps, onPlain);
  }

  #begin(push: Delivered): void {
    this.#current = push;
    this.#sentTimes = 1;
    this.#line.send(
      push.octets,
      () => {
        push.onSent();
        this.#wait(push);
      },
      push.steps,
      push.onPlain,
    );
  }

  /** The time runs from when it was handed to a connection. */
  #wait(push: Delivered): void {
    if (this.#current !== push) return;
    this.#timer = setTimeout(() => this.#again(push), push.rule.repetitionMs);
  }

  #again(push: Delivered): void {
    this.#timer = null;
    if (this.#sentTimes > push.rule.retries) {
      this.#giveUp();
      this.#next();
      return;
    }
    this.#sentTimes++;
    this.#counts.retries++;
    this.#line.send(push.octets, () => this.#wait(push));
  }

  #giveUp(): void {
    this.#counts.unconfirmed++;
    this.#clear();
  }

  #done(): void {
    this.#clear();
    this.#next();
  }

  #clear(): void {
    this.#current = null;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }
}
