import type { Data } from "../src/dlms/encoding/data-types.ts";
import type { ActionResult } from "../src/dlms/xdlms/result-codes.ts";
import type { Clock } from "./clock.ts";
import { ClockError, type ClockErrors } from "./clock-error.ts";
import { withoutConfirmations } from "./confirmations.ts";
import { type DeliveryRule, PushDelivery } from "./delivery.ts";
import type { DeviceModel } from "./device/device-model.ts";
import { type DeviceHost, MeterDevice } from "./device/meter-device.ts";
import { MeterKeys } from "./device/meter-keys.ts";
import { MeterServer } from "./device/meter-server.ts";
import { confirming, type Envelope, longInvokeIdOf, notification, seal } from "./envelope.ts";
import { type Answer, FAULTS, type FaultName, type FaultShares, faultFor, type Happening } from "./faults.ts";
import { PUSH_CLIENT_SAP } from "./framing.ts";
import type { MeterLine } from "./line.ts";
import type { LineCounts } from "./line-counts.ts";
import type { SimulatedMeter } from "./meter.ts";
import { owned } from "./owned.ts";
import { kept, type PushContent } from "./push-body.ts";
import type { PushSource } from "./push-source.ts";
import { fraction, mix } from "./random.ts";
import type { Heard } from "./uplink.ts";

export interface StationOptions {
  readonly meter: PushSource;
  readonly line: MeterLine;
  /** The meter's own. */
  readonly seed: number;
  /** It holds what it has to push back by so much, ms of its clock. */
  readonly delayMs: number;
  /** Nothing is sent before, on the fleet's clock. */
  readonly silentUntilMs: number;
  readonly firstCounter: number;
  readonly faults: FaultShares;
  readonly clockErrors: ClockErrors;
  /** When its life begins, on the fleet's clock. */
  readonly startMs: number;
  readonly events: StationEvents;
  readonly clock: Clock;
  /** The meter and its objects, for head-ends that talk to it; null: it only sends. */
  readonly device: { readonly meter: SimulatedMeter; readonly model: DeviceModel } | null;
  /** host:port that it pushes to. */
  readonly destination: string;
  /** How its push setups have their pushes delivered, where nobody has written otherwise. */
  readonly delivery: PushHabits;
  readonly counts: LineCounts;
  /** Share of block load pushes that are captured and never pushed, 0 … 1. */
  readonly holes: number;
}

/** Of all push setups of a meter. */
export interface PushHabits extends DeliveryRule {
  /** Attribute 5 of class 40: a push waits so long at most, by chance. ms of the meter's clock. */
  readonly randomisationMs: number;
}

export interface StationEvents {
  /** A push was handed to a connection, for the first time. */
  sent(station: Station, push: PushContent, counter: number): void;
  /** A fault befell a push; `answer` is what the head-end has to make of what it adds, so many times. */
  mishap(fault: FaultName, answer: Answer, times: number): void;
  /** The connection broke behind it: the head-end may never have seen what it added. */
  unseen(answer: Answer, times: number): void;
  /** Rows were captured and are not pushed: a hole that only a poll can fill. */
  hole(push: PushContent): void;
}

interface Held {
  readonly octets: Buffer;
  readonly onSent: () => void;
  readonly longInvokeId: number;
  readonly rule: DeliveryRule;
}

/** A meter at its line: when it pushes by the fleet's clock, under which counter, and what goes wrong on the way. */
export class Station implements DeviceHost {
  readonly meter: PushSource;
  readonly line: MeterLine;
  readonly #options: StationOptions;
  readonly #keys: MeterKeys;
  #envelope: Envelope;
  readonly #clock: ClockError;
  readonly #delivery: PushDelivery;
  /** Pushes that wait by chance, the soonest first. Times on the fleet's clock. */
  readonly #delayed: { readonly atMs: number; readonly push: PushContent }[] = [];
  #counter: number;
  #earlier: Buffer | null = null;
  #chances = 0;
  /** A push that waits for the next one. */
  #held: Held | null = null;
  /** When the power comes back, on the fleet's clock; null: it is there. */
  #darkUntilMs: number | null = null;
  /** Made when somebody talks to the meter. */
  #server: MeterServer | null = null;

  constructor(options: StationOptions) {
    this.#options = options;
    this.meter = options.meter;
    this.line = options.line;
    const { plan } = options.meter;
    this.#keys = new MeterKeys(plan.keys);
    this.#envelope = {
      systemTitle: plan.systemTitle,
      keys: this.#keys.protection,
      control: plan.protection === 0 ? 0 : plan.protection | plan.suite,
      framing: plan.framing,
      habits: plan.habits,
    };
    this.#clock = new ClockError(options.clockErrors, options.seed, options.startMs);
    this.#counter = options.firstCounter;
    this.#delivery = new PushDelivery(options.line, options.counts);
    this.line.onConnection = (connection) => {
      const { confirmed } = options.delivery;
      const confirmedBy = (longInvokeId: number) => this.#delivery.confirmed(longInvokeId);
      this.answerOn(confirmed ? withoutConfirmations(connection, confirmedBy) : connection);
    };
  }

  /** Answers what a head-end asks over a connection, whoever has made it. */
  answerOn(connection: Heard): void {
    const { device } = this.#options;
    let attached = false;
    connection.onData((chunk) => {
      if (attached || device === null) return;
      attached = true;
      this.#serving(device).attach(connection, chunk);
    });
  }

  get pushHabits(): PushHabits {
    return this.#options.delivery;
  }

  get destination(): string {
    return this.#options.destination;
  }

  now(): number {
    return this.#own(this.#options.clock.now());
  }

  setClock(epochMs: number): void {
    const ahead = epochMs - this.now();
    this.#clock.shift(ahead);
    if (ahead > 0) this.meter.skipTo(epochMs);
  }

  push(pushes: readonly PushContent[]): void {
    this.#push(pushes, this.#options.clock.now());
  }

  transferKeys(parameters: Data | null): ActionResult {
    const result = this.#keys.transfer(parameters);
    if (result === "success") {
      this.#envelope = { ...this.#envelope, keys: this.#keys.protection };
      this.#server?.keysChanged();
    }
    return result;
  }

  counterOf(clientSap: number): number {
    if (clientSap === PUSH_CLIENT_SAP) return this.#counter;
    return this.#server?.counterOf(clientSap) ?? 0;
  }

  #serving({ model, meter }: NonNullable<StationOptions["device"]>): MeterServer {
    if (this.#server === null) {
      const { firstCounter } = this.#options;
      const device = new MeterDevice(model, meter, this);
      const { plan } = meter;
      this.#server = new MeterServer({
        model,
        device,
        plan,
        keys: () => this.#keys.protection,
        firstCounter,
      });
    }
    return this.#server;
  }

  /** When it has something to do next, on the fleet's clock. */
  get dueMs(): number {
    if (this.#darkUntilMs !== null) return this.#darkUntilMs;
    return Math.min(this.#delayed[0]?.atMs ?? Number.POSITIVE_INFINITY, this.#meterDueMs);
  }

  get #meterDueMs(): number {
    const { delayMs, silentUntilMs } = this.#options;
    const due = this.meter.dueMs + delayMs;
    return Math.max(silentUntilMs, Math.min(due - this.#clock.at(due), this.#clock.jumpAtMs));
  }

  /** Does what is due. `nowMs` on the fleet's clock; returns how many pushes it made. */
  act(nowMs: number): number {
    if (this.#darkUntilMs !== null) return this.#wake(nowMs);
    const delayed = this.#delayed[0];
    if (delayed !== undefined && delayed.atMs <= nowMs) {
      this.#delayed.shift();
      this.#send(delayed.push);
      return 1;
    }
    if (nowMs >= this.#clock.jumpAtMs) {
      this.#clock.jump();
      this.meter.skipTo(this.#own(nowMs));
      return 0;
    }
    return this.#push(this.meter.next(), nowMs);
  }

  /** Its power fails until `backMs`: the last gasp, then silence; one in ten lines dies without a word. */
  losePower(nowMs: number, backMs: number): void {
    // There is no time to wait for anything.
    this.#sendDelayed();
    for (const push of this.meter.powerFails(this.#second(nowMs))) this.#send(push);
    this.flush();
    this.#delivery.release();
    this.line.hangUp(mix(this.#options.seed, 91) % 10 === 0 ? "abandon" : "close");
    this.#darkUntilMs = backMs;
  }

  /** Sends what waits for a next push. */
  flush(): void {
    const held = this.#held;
    this.#held = null;
    if (held !== null) this.#delivery.send(held);
  }

  /** Sends what waits, for confirmations too, then hangs up. What a head-end that is away does not take within `timeoutMs` is left. */
  async finish(timeoutMs: number): Promise<void> {
    this.#sendDelayed();
    this.flush();
    await this.#delivery.idle(timeoutMs);
    this.#delivery.release();
    await this.line.finish(timeoutMs);
  }

  #sendDelayed(): void {
    for (const { push } of this.#delayed.splice(0)) this.#send(push);
  }

  #wake(nowMs: number): number {
    this.#darkUntilMs = null;
    return this.#push(this.meter.powerReturns(this.#second(nowMs)), nowMs);
  }

  #own(fleetMs: number): number {
    return fleetMs + this.#clock.at(fleetMs);
  }

  #second(fleetMs: number): number {
    return Math.floor(this.#own(fleetMs) / 1_000) * 1_000;
  }

  #push(pushes: readonly PushContent[], nowMs: number): number {
    for (const push of pushes) {
      if (this.#isHole(push)) this.#options.events.hole(push);
      else this.#sendByChance(push, nowMs);
    }
    return pushes.length;
  }

  /** At once, or within the randomisation interval of its push setup. */
  #sendByChance(push: PushContent, nowMs: number): void {
    const { randomisationMs } = this.#rule(push.pushSetup);
    if (randomisationMs === 0) {
      this.#send(push);
      return;
    }
    const atMs = nowMs + fraction(mix(this.#options.seed, 97), this.#chances++) * randomisationMs;
    const before = this.#delayed.findIndex((other) => other.atMs > atMs);
    this.#delayed.splice(before < 0 ? this.#delayed.length : before, 0, { atMs, push: kept(push) });
  }

  /** What somebody has written into its push setup, else what the fleet does. */
  #rule(pushSetup: string): PushHabits {
    const { delivery } = this.#options;
    const set = (attribute: number) => this.#server?.pushSetting(pushSetup, attribute) ?? null;
    const [randomisation, retries, repetition] = [set(5), set(6), set(7)];
    return {
      confirmed: delivery.confirmed,
      randomisationMs: randomisation === null ? delivery.randomisationMs : randomisation * 1_000,
      retries: retries ?? delivery.retries,
      repetitionMs: repetition === null ? delivery.repetitionMs : repetition * 1_000,
    };
  }

  #isHole({ kind, times }: PushContent): boolean {
    const { holes, seed } = this.#options;
    return kind === "block" && holes > 0 && fraction(mix(seed, 95), times[0]! / 60_000) < holes;
  }

  #send(push: PushContent): void {
    const { plan } = this.meter;
    const { faults, seed, firstCounter, events } = this.#options;
    const counter = this.#counter++;
    // Meters of an odd number say when they notify, the others leave that to the clock in the body.
    const notifies = plan.index % 2 === 1 ? push.times.at(-1)! : null;
    const at = push.notifiedAtMs === undefined ? notifies : push.notifiedAtMs;
    const rule = this.#rule(push.pushSetup);
    const habits = rule.confirmed ? confirming(plan.habits) : plan.habits;
    const plaintext = notification(push.body, counter, at, plan.style.time, habits);
    const longInvokeId = longInvokeIdOf(counter, habits);
    const octets = seal(this.#envelope, plaintext, counter);
    const onSent = () => events.sent(this, push, counter);
    const number = counter - firstCounter;
    const fault = faultFor(faults, seed, number);
    const earlier = this.#earlier;
    if ((faults.repeat ?? 0) > 0) this.#earlier = owned(octets);
    if (this.#held !== null) {
      const held = this.#held;
      this.#held = null;
      // The first of the two is confirmed by the second's confirmation: a head-end takes them in their order.
      this.#delivery.send({
        ...{ octets: Buffer.concat([held.octets, octets]), longInvokeId, rule },
        onSent: () => {
          held.onSent();
          onSent();
        },
      });
      return;
    }
    const happening: Happening | null =
      fault === null
        ? null
        : FAULTS[fault].happen({
            envelope: this.#envelope,
            plaintext,
            counter,
            octets,
            earlier,
            firstCounter,
            seed: mix(seed, number + 101),
          });
    if (fault !== null && happening !== null) events.mishap(fault, happening.answer, happening.times ?? 1);
    const delivered = { octets, onSent, longInvokeId, rule };
    if (happening?.steps.length === 0) this.#held = delivered;
    else if (happening === null) this.#delivery.send(delivered);
    else {
      const { steps, answer, times = 1 } = happening;
      this.#delivery.send({ ...delivered, steps, onPlain: () => events.unseen(answer, times) });
    }
  }
}
