import type { Capture } from "../capture.ts";
import { emptySample, measure } from "../grid.ts";
import type { MeterPlan } from "../identity.ts";
import type { Site } from "../load-curve.ts";
import type { PushContent } from "../push-body.ts";
import type { PushSource } from "../push-source.ts";
import { between, fraction, mix } from "../random.ts";
import { Registers } from "../registers.ts";
import { interfaceBody } from "./interface-body.ts";
import type { InterfaceList, InterfaceModel } from "./interface-model.ts";

const RESOLUTION_WH = 1;
const MS_PER_HOUR = 3_600_000;

/** A meter that says what it measures every few seconds, and hears nothing. */
export class InterfaceSender implements PushSource {
  readonly plan: MeterPlan;
  readonly model: InterfaceModel;
  readonly #site: Site;
  readonly #capture: Capture;
  /** When each list is due next, in the model's order. */
  readonly #dueMs: number[];
  readonly #periodsMs: readonly number[];
  /** The last full hour of which it told something. */
  #hourToldMs = 0;

  /** @param slowestMs no list goes out more often than that; 0: as the interface has it */
  constructor(seed: number, plan: MeterPlan, model: InterfaceModel, slowestMs: number, startMs: number) {
    this.plan = plan;
    this.model = model;
    const own = mix(seed, plan.index + 1);
    const averageW = between(own, 1, model.averageW.from, model.averageW.to);
    const solarPeakW = fraction(own, 2) < 0.3 ? averageW * between(own, 3, 3, 6) : 0;
    const { zone, nominalV, phases, registerMs } = model;
    this.#site = { seed: own, kind: "household", zone, nominalV, averageW, solarPeakW };
    const boundary = Math.floor(startMs / registerMs) * registerMs;
    const sample = emptySample(phases);
    const registers = new Registers(this.#site, sample, boundary, registerMs, RESOLUTION_WH, false);
    this.#capture = {
      atMs: startMs,
      sample,
      registers,
      counts: NO_COUNTS,
      statusWord: NO_WORD,
      identity: plan.identity,
      eventCode: 0,
      eventSequence: 0,
    };
    this.#periodsMs = model.lists.map(({ periodMs }) => Math.max(periodMs, slowestMs));
    this.#dueMs = model.lists.map((list, at) => this.#after(list, at, startMs));
  }

  get dueMs(): number {
    return Math.min(...this.#dueMs);
  }

  next(): PushContent[] {
    const nowMs = this.dueMs;
    let due: InterfaceList | null = null;
    this.model.lists.forEach((list, at) => {
      if (this.#dueMs[at] !== nowMs) return;
      due = list;
      this.#dueMs[at] = nowMs + this.#periodsMs[at]!;
    });
    return [this.#say(due!, nowMs)];
  }

  skipTo(nowMs: number): void {
    this.#capture.registers.skipTo(Math.floor(nowMs / this.model.registerMs) * this.model.registerMs);
    this.model.lists.forEach((list, at) => {
      if (this.#dueMs[at]! < nowMs) this.#dueMs[at] = this.#after(list, at, nowMs);
    });
  }

  /** Nobody at a customer interface is told. */
  powerFails(): PushContent[] {
    return [];
  }

  powerReturns(nowMs: number): PushContent[] {
    this.skipTo(nowMs);
    return [];
  }

  /** The next time at which a list goes out: at full periods, or so much after them. */
  #after({ offsetMs }: InterfaceList, at: number, fromMs: number): number {
    const period = this.#periodsMs[at]!;
    return Math.ceil((fromMs - offsetMs) / period) * period + offsetMs;
  }

  #say(list: InterfaceList, nowMs: number): PushContent {
    const { model, plan } = this;
    const capture = this.#capture;
    const capturedMs = nowMs - list.offsetMs;
    while (capture.registers.atMs + model.registerMs <= capturedMs) capture.registers.advance();
    capture.atMs = capturedMs;
    measure(this.#site, capturedMs, capture.sample);
    const { time } = plan.style;
    const isTimed = list.hasClock;
    // A clock among the values tells the time of the row, else the notification does. The hourly list adds to the row of the full hour.
    const rowMs = list.cells.some(({ isClock }) => isClock) ? capturedMs : nowMs;
    const isNew = isTimed && rowMs !== this.#hourToldMs;
    if (isTimed && rowMs % MS_PER_HOUR === 0) this.#hourToldMs = rowMs;
    return {
      kind: isTimed ? "instant" : "untimed",
      pushSetup: "",
      times: isNew ? [rowMs] : [],
      eventCode: null,
      valueSum: isTimed ? list.check(capture) : 0,
      body: interfaceBody(list.cells, model.body, capture, time),
      notifiedAtMs: model.notifies === "nothing" ? null : nowMs,
    };
  }
}

const NO_WORD = Buffer.alloc(0);
/** A customer interface tells nothing of these. */
const NO_COUNTS: Capture["counts"] = {
  powerOnMin: 0,
  billingPowerOnMin: 0,
  powerOffMin: 0,
  powerFailures: 0,
  tampers: 0,
  billingTampers: 0,
  billings: 0,
  programmings: 0,
  lastBillingMs: 0,
  averagePowerFactor: 1,
  loadLimitW: 0,
  signalDbm: 0,
};
