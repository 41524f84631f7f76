import type { Capture, Counts } from "./capture.ts";
import { firstCounts } from "./first-counts.ts";
import { emptySample, measure } from "./grid.ts";
import type { MeterPlan } from "./identity.ts";
import { IncidentPlan } from "./incident-plan.ts";
import { type EventRow, STATUS_WORD_BITS, setStatusBit } from "./incidents.ts";
import type { Site } from "./load-curve.ts";
import { isLocalMidnight, monthStart } from "./local-time.ts";
import type { Model, ModelList, PushKind } from "./model.ts";
import { owned } from "./owned.ts";
import { kept, type PushContent, presentBody, rowOf, rowsBody } from "./push-body.ts";
import type { PushSource } from "./push-source.ts";
import { between, fraction, mix } from "./random.ts";
import { Registers } from "./registers.ts";

/** When a meter pushes what. */
export interface MeterSchedule {
  /** Period of instantaneous pushes in seconds, 0: none. */
  readonly instantSeconds: number;
  /** Period of block load pushes in seconds: a nested one carries the rows since the last, flat ones carry one row each. 0: none. null: each block. */
  readonly blockPushSeconds: number | null;
  /** Incidents a day on average, 0: none. */
  readonly incidentsPerDay: number;
  /** Whether demands and counts of the running month are built up first, block by block, as if the meter had been there. */
  readonly history: boolean;
}

/** Told of each row that a profile or an event log gets, while `capture` holds it. */
export type RowObserver = (kind: PushKind, list: ModelList, capture: Capture) => void;

/** What has befallen a meter that its seed does not tell. Times by its own clock, epoch ms. */
export type Disturbance = {
  readonly kind: "skip" | "power-fails" | "power-returns" | "disconnect" | "reconnect";
  readonly atMs: number;
};

const MS_PER_MINUTE = 60_000;

/** One simulated meter: what it has counted and what it pushes next. Everything follows from its seed and its plan. */
export class SimulatedMeter implements PushSource {
  readonly plan: MeterPlan;
  readonly model: Model;
  readonly #site: Site;
  readonly #schedule: MeterSchedule;
  readonly #capture: Capture;
  readonly #counts: Counts;
  readonly #registers: Registers;
  /** Rows that each log has got. */
  readonly #sequences = [0, 0, 0, 0, 0, 0, 0];
  readonly #blockMs: number;
  #nextInstantMs: number;
  readonly #incidents: IncidentPlan;
  /** Rows of a nested block push that is not full yet, with their times. */
  #rows: { row: Buffer; atMs: number; value: number }[] = [];
  #greeted = false;
  /** In the order in which they came. */
  readonly disturbances: Disturbance[] = [];
  readonly startMs: number;
  readonly #seed: number;
  readonly #onRow: RowObserver | null;
  /** It was an incident that opened the relay, so that its end closes it. */
  #tripped = false;
  /** Rows about a power failure that wait for the power. */
  #owed: PushContent[] = [];

  /** @param startMs first instant of its life, epoch ms; what was captured before is not pushed */
  constructor(
    seed: number,
    plan: MeterPlan,
    model: Model,
    schedule: MeterSchedule,
    startMs: number,
    onRow: RowObserver | null = null,
  ) {
    this.#seed = seed;
    this.startMs = startMs;
    this.#onRow = onRow;
    this.plan = plan;
    this.model = model;
    this.#schedule = schedule;
    this.#blockMs = model.blockSeconds * 1_000;
    const own = mix(seed, plan.index + 1);
    const averageW = between(own, 1, model.averageW.from, model.averageW.to);
    const solarPeakW = fraction(own, 2) < 0.4 ? averageW * between(own, 3, 3, 6) : 0;
    const { site: kind, zone, nominalV } = model;
    this.#site = { seed: own, kind, zone, nominalV, averageW, solarPeakW };
    const boundary = Math.floor(startMs / this.#blockMs) * this.#blockMs;
    const { phases, resolution } = model;
    const sample = emptySample(phases);
    this.#registers = new Registers(
      this.#site,
      sample,
      boundary,
      this.#blockMs,
      resolution,
      schedule.history,
    );
    const period = Math.max(1, schedule.instantSeconds) * 1_000;
    const offset = Math.floor(fraction(own, 4) * (period / 1_000)) * 1_000;
    this.#nextInstantMs =
      schedule.instantSeconds === 0 || model.instant === null
        ? Number.POSITIVE_INFINITY
        : Math.ceil((startMs - offset) / period) * period + offset;
    this.#counts = firstCounts(this.#site, boundary);
    this.#capture = {
      atMs: boundary,
      sample,
      registers: this.#registers,
      counts: this.#counts,
      statusWord: Buffer.alloc(STATUS_WORD_BITS / 8),
      identity: plan.identity,
      eventCode: 0,
      eventSequence: 0,
    };
    this.#incidents = new IncidentPlan({
      seed: own,
      index: plan.index,
      phases,
      incidents: model.incidents.planned,
      perDay: schedule.incidentsPerDay,
    });
    this.#incidents.add(boundary);
  }

  /** When it has something to push next, epoch ms. */
  get dueMs(): number {
    if (!this.#greeted) return this.#registers.atMs;
    return Math.min(this.#nextInstantMs, this.#registers.atMs + this.#blockMs, this.#incidents.dueMs);
  }

  /** What it pushes at `dueMs`, in order. */
  next(): PushContent[] {
    const now = this.dueMs;
    this.#capture.atMs = now;
    if (!this.#greeted) {
      this.#greeted = true;
      return [this.#present("name-plate", this.model.namePlate)];
    }
    const pushes: PushContent[] = [];
    if (now === this.#registers.atMs + this.#blockMs) this.#endBlock(now, pushes);
    if (now === this.#incidents.dueMs) this.#befall(this.#incidents.take(), pushes);
    if (now === this.#nextInstantMs) {
      this.#nextInstantMs += this.#schedule.instantSeconds * 1_000;
      this.#look(now);
      pushes.push(this.#present("instant", this.model.instant!));
    }
    return pushes;
  }

  /**
   * Its clock jumps ahead to `nowMs`, or its power is back then: what it would have captured in between it never captures, what was to
   * befall it befalls it a little later.
   */
  skipTo(nowMs: number): void {
    this.disturbances.push({ kind: "skip", atMs: nowMs });
    this.#skip(nowMs);
  }

  /** Opens or closes its relay because somebody asked for it: a row of the control log, and the status word. */
  switchLoad(connected: boolean, nowMs: number): PushContent[] {
    const isAlready = this.#registers.relay.connected === connected;
    if (isAlready && !this.#tripped) return [];
    this.disturbances.push({ kind: connected ? "reconnect" : "disconnect", atMs: nowMs });
    this.#tripped = false;
    if (isAlready) return [];
    const pushes: PushContent[] = [];
    const { loadSwitched } = this.model.incidents;
    const code = connected ? loadSwitched.restoration! : loadSwitched.code;
    this.#capture.atMs = nowMs;
    this.#happen({ atMs: nowMs, incident: loadSwitched, code, ends: connected }, pushes);
    return pushes;
  }

  /** What the method push of its push setup brings about; null where the setup has no list of present values. */
  pushNow(pushSetup: string, nowMs: number): PushContent[] | null {
    const { instant, alert, namePlate } = this.model;
    const kinds = [
      ["instant", instant],
      ["alert", alert],
      ["name-plate", namePlate],
    ] as const;
    const found = kinds.find(([, list]) => list?.pushSetup === pushSetup);
    if (found === undefined) return null;
    this.#look(nowMs);
    return [this.#present(found[0], found[1]!)];
  }

  set loadLimitW(value: number) {
    this.#counts.loadLimitW = value;
  }

  #skip(nowMs: number): void {
    this.#registers.skipTo(Math.floor(nowMs / this.#blockMs) * this.#blockMs);
    const period = this.#schedule.instantSeconds * 1_000;
    if (period > 0 && this.#nextInstantMs < nowMs) {
      this.#nextInstantMs += Math.ceil((nowMs - this.#nextInstantMs) / period) * period;
    }
    this.#incidents.putOff(nowMs);
  }

  /** The last gasp: what it pushes when its power fails at `nowMs`, a full second. */
  powerFails(nowMs: number): PushContent[] {
    const pushes: PushContent[] = [];
    this.disturbances.push({ kind: "power-fails", atMs: nowMs });
    this.#capture.atMs = nowMs;
    const { powerFailure } = this.model.incidents;
    this.#happen({ atMs: nowMs, incident: powerFailure, code: powerFailure.code, ends: false }, pushes);
    // Its log it will tell when there is power again: the last gasp is the status word alone.
    this.#owed = pushes.filter(({ kind }) => kind === "event").map(kept);
    return pushes.filter(({ kind }) => kind === "alert");
  }

  /** First breath: the status word and the rows of the event log about the failure. `nowMs` is a full second. */
  powerReturns(nowMs: number): PushContent[] {
    const pushes: PushContent[] = [];
    this.disturbances.push({ kind: "power-returns", atMs: nowMs });
    this.#skip(nowMs);
    this.#capture.atMs = nowMs;
    const { powerFailure } = this.model.incidents;
    this.#happen(
      { atMs: nowMs, incident: powerFailure, code: powerFailure.restoration!, ends: true },
      pushes,
    );
    const [alerts, events] = [
      pushes.filter(({ kind }) => kind === "alert"),
      pushes.filter(({ kind }) => kind === "event"),
    ];
    const owed = this.#owed;
    this.#owed = [];
    return [...alerts, ...owed, ...events];
  }

  #look(now: number): void {
    this.#capture.atMs = now;
    measure(this.#site, now, this.#capture.sample, this.#registers.relay.connected);
    this.#counts.signalDbm = Math.round(
      between(mix(this.#site.seed, 51), Math.floor(now / MS_PER_MINUTE), -98, -62),
    );
  }

  /**
   * Tells of every row that its profiles and logs have got up to `untilMs`, by living its life once more: what a meter has captured is
   * computed, not kept. Takes about a millisecond a day.
   */
  recall(untilMs: number, onRow: RowObserver): void {
    const again = new SimulatedMeter(this.#seed, this.plan, this.model, this.#schedule, this.startMs, onRow);
    const disturbances = [...this.disturbances];
    for (;;) {
      const next = disturbances[0];
      if (next !== undefined && next.atMs <= Math.min(again.dueMs, untilMs)) {
        disturbances.shift();
        if (next.kind === "skip") again.skipTo(next.atMs);
        else if (next.kind === "power-fails") again.powerFails(next.atMs);
        else if (next.kind === "power-returns") again.powerReturns(next.atMs);
        else again.switchLoad(next.kind === "reconnect", next.atMs);
      } else if (again.dueMs <= untilMs && again.dueMs < this.dueMs) {
        again.next();
      } else return;
    }
  }

  /** What it measures and has counted at `nowMs`. The same object each time. */
  present(nowMs: number): Capture {
    this.#look(nowMs);
    return this.#capture;
  }

  /** Present values, or one row without an array around it. */
  #present(kind: PushKind, list: ModelList, eventCode: number | null = null): PushContent {
    const { atMs } = this.#capture;
    const body = presentBody(list, this.#capture, this.plan.style);
    const valueSum = eventCode ?? list.check(this.#capture);
    return { kind, pushSetup: list.pushSetup, times: [atMs], eventCode, valueSum, body };
  }

  /** The row of a profile: captured, and pushed where the model does so, flat or alone in an array. */
  #profileRow(kind: PushKind, list: ModelList, pushes: PushContent[], eventCode: number | null = null): void {
    this.#onRow?.(kind, list, this.#capture);
    if (list.pushSetup === "") return;
    const { style } = this.plan;
    if (style.layout === "flat") {
      pushes.push(this.#present(kind, list, eventCode));
      return;
    }
    const { atMs } = this.#capture;
    const row = rowOf(list, this.#capture, style.time);
    const body = rowsBody(list, this.#capture, [row], style);
    const valueSum = eventCode ?? list.check(this.#capture);
    pushes.push({ kind, pushSetup: list.pushSetup, times: [atMs], eventCode, valueSum, body });
  }

  #endBlock(now: number, pushes: PushContent[]): void {
    const minutes = this.#blockMs / MS_PER_MINUTE;
    this.#counts.powerOnMin += minutes;
    this.#counts.billingPowerOnMin += minutes;
    this.#registers.advance();
    this.#look(now);
    this.#pushBlock(now, pushes);
    const { zone } = this.#site;
    if (isLocalMidnight(zone, now)) this.#profileRow("daily", this.model.daily, pushes);
    if (now === monthStart(zone, now)) this.#bill(now, pushes);
  }

  #pushBlock(now: number, pushes: PushContent[]): void {
    const list = this.model.block;
    const { style } = this.plan;
    const { blockSeconds } = this.model;
    const rowsPerPush = (this.#schedule.blockPushSeconds ?? blockSeconds) / blockSeconds;
    if (rowsPerPush === 0) {
      this.#onRow?.("block", list, this.#capture);
      return;
    }
    if (style.layout === "flat" || rowsPerPush <= 1) {
      this.#profileRow("block", list, pushes);
      return;
    }
    this.#onRow?.("block", list, this.#capture);
    const value = list.check(this.#capture);
    this.#rows.push({ row: owned(rowOf(list, this.#capture, style.time)), atMs: now, value });
    if (this.#rows.length < rowsPerPush) return;
    const rows = this.#rows;
    this.#rows = [];
    pushes.push({
      kind: "block",
      pushSetup: list.pushSetup,
      times: rows.map(({ atMs }) => atMs),
      eventCode: null,
      valueSum: rows.reduce((sum, { value }) => sum + value, 0),
      body: rowsBody(
        list,
        this.#capture,
        rows.map(({ row }) => row),
        style,
      ),
    });
  }

  #bill(now: number, pushes: PushContent[]): void {
    this.#counts.billings++;
    this.#counts.lastBillingMs = now;
    this.#profileRow("billing", this.model.billing, pushes);
    this.#counts.billingPowerOnMin = 0;
    this.#counts.billingTampers = 0;
    this.#registers.resetDemand();
  }

  /** What was planned happens, unless somebody has switched the relay meanwhile, so that it can't; then what is planned next. */
  #befall(event: EventRow, pushes: PushContent[]): void {
    const { incident, ends } = event;
    const { relay } = this.#registers;
    const trips = incident.effect === "relay";
    if (!ends && incident.loaded && !relay.connected) {
      this.#incidents.drop(incident);
      this.#incidents.add(this.#capture.atMs);
      return;
    }
    if (!(trips && ends && !this.#tripped)) this.#happen(event, pushes);
    if (trips) this.#tripped = !ends;
    if (ends || incident.restoration === null) this.#incidents.add(this.#capture.atMs);
  }

  #happen({ incident, code, ends }: EventRow, pushes: PushContent[]): void {
    const capture = this.#capture;
    const counts = this.#counts;
    this.#look(capture.atMs);
    capture.eventCode = code;
    capture.eventSequence = ++this.#sequences[incident.log]!;
    if (incident.tamper && !ends) {
      counts.tampers++;
      counts.billingTampers++;
    }
    if (incident.effect === "relay") this.#registers.relay.switch(ends, capture.atMs);
    if (incident.effect === "power") {
      if (ends) counts.powerOffMin += Math.round(incident.seconds / 60);
      else counts.powerFailures++;
    }
    const { alert, events } = this.model;
    if (incident.bit !== null) setStatusBit(capture.statusWord, incident.bit, !ends);
    if (incident.endBit !== null) setStatusBit(capture.statusWord, incident.endBit, ends);
    const alerts = incident.bit !== null || (ends && incident.endBit !== null);
    if (alerts) pushes.push(this.#present("alert", alert));
    this.#profileRow("event", events.get(incident.log)!, pushes, code);
  }
}
