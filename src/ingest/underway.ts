import type { Clock } from "../clock.ts";
import type { Limits } from "../limits.ts";
import type { MeterRecord } from "../storage/meter-record.ts";
import type { Protection } from "./accepted.ts";
import type { IngestObserver } from "./observer.ts";
import type { Received } from "./receive-push.ts";
import { RestingEntries } from "./resting-entries.ts";

/** What the sender of an APDU is told about it. */
export interface Sender {
  /** The push is in memory and will be stored; `bytes` are held until `settled`. */
  accepted(meter: MeterRecord, bytes: number): void;
  /**
   * Durable, or known to be: to be acknowledged. `confirm` is the invoke id of a push that asks for a confirmation. Not `inTime`: the sender
   * has given up and sends again, which is acknowledged then.
   */
  durable(confirm: number | null, inTime: boolean): void;
  /** The octets are held no longer. */
  settled(bytes: number): void;
}

/** A push that isn't safe yet, and who waits for it. */
export interface PushUnderway {
  readonly received: Received & { kind: "accepted" };
  readonly sender: Sender;
  /** Octets that it keeps in memory. */
  readonly bytes: number;
  /** By the monotonic clock, ms. */
  readonly since: number;
  /** Retransmissions of it, which are to be acknowledged with it; null: none came. */
  waiting: (() => void)[] | null;
}

export interface UnderwaySurroundings {
  readonly clock: Clock;
  readonly observer: IngestObserver;
  readonly limits: Limits;
}

/** Pushes that are accepted and not safe yet: what they hold, and who is to be told when they are. */
export class Underway {
  private readonly with: UnderwaySurroundings;
  /** Those whose retransmissions can be told, by the counter that they count on. */
  private readonly pushes = new RestingEntries<PushUnderway[]>(
    () => [],
    (pushes) => pushes.length === 0,
  );
  private bytes = 0;

  constructor(surroundings: UnderwaySurroundings) {
    this.with = surroundings;
  }

  /** Octets of all of them. */
  get heldBytes(): number {
    return this.bytes;
  }

  begin(received: PushUnderway["received"], sender: Sender, bytes: number): PushUnderway {
    const since = this.with.clock.monotonic();
    const underway: PushUnderway = { received, sender, bytes, since, waiting: null };
    this.bytes += bytes;
    const { protection } = received.acceptance;
    if (protection !== null) this.pushes.of(protection.name.text).push(underway);
    sender.accepted(received.meter, bytes);
    return underway;
  }

  /** Acknowledges a retransmission: at once, or together with the push that is meant. */
  acknowledgeAgain({ name, digest }: Protection, acknowledge: () => void): void {
    const isMeant = ({ received }: PushUnderway) => received.acceptance.protection!.digest === digest;
    const underway = this.pushes.peek(name.text)?.find(isMeant);
    if (underway === undefined) {
      acknowledge();
      return;
    }
    underway.waiting ??= [];
    underway.waiting.push(acknowledge);
  }

  /** A push has become safe, or is not going to be. */
  settle(underway: PushUnderway, isSafe: boolean): void {
    const { received, sender, bytes, since, waiting } = underway;
    this.bytes -= bytes;
    const { protection } = received.acceptance;
    if (protection !== null) {
      const pushes = this.pushes.of(protection.name.text);
      pushes.splice(pushes.indexOf(underway), 1);
    }
    if (isSafe) {
      const { clock, observer, limits } = this.with;
      const elapsedMs = clock.monotonic() - since;
      observer.durableSeconds(elapsedMs / 1_000);
      sender.durable(received.confirm, elapsedMs <= limits.durableMs);
      if (waiting !== null) for (const acknowledge of waiting) acknowledge();
    }
    sender.settled(bytes);
  }
}
