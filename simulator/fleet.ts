import { loadCatalogue } from "../src/catalogue/catalogue.ts";
import type { Clock } from "./clock.ts";
import { DueQueue } from "./due-queue.ts";
import { type Envelope, notification, protectionKeys, seal } from "./envelope.ts";
import { importCsv, keysCsv, type MeterPlan, type PlanChoices, planMeter } from "./identity.ts";
import {
  type ConnectionHabit,
  type Dial,
  dialTarget,
  type LineCounts,
  MeterLine,
  type Target,
} from "./line.ts";
import { type MeterSchedule, SimulatedMeter } from "./meter.ts";
import { loadModels, type ModelName, PUSH_KINDS, type PushKind } from "./model.ts";
import type { PushContent } from "./push-body.ts";
import { fraction, mix } from "./random.ts";

export interface FleetOptions {
  /** How many meters. */
  readonly meters: number;
  /** Models in turn; D1, D2 and D3 by default. */
  readonly models?: readonly ModelName[];
  /** Everything that meters do follows from it, and from the clock. */
  readonly seed: number;
  /** The head-end. */
  readonly target: Target;
  /** What the meters' clocks show; may run faster than time. */
  readonly clock: Clock;
  readonly schedule?: Partial<MeterSchedule>;
  /** Fixed for all meters what is given; the rest differs from meter to meter. */
  readonly choices?: Partial<PlanChoices>;
  readonly connection?: ConnectionHabit;
  /** Meters hold what they have to push back by up to so many seconds of their clock, each by its own time. */
  readonly spreadSeconds?: number;
  /** Invocation counter of each meter's first push. Must be above that of the last run against the same head-end. */
  readonly firstCounter?: number;
  /** Whether every push sent is remembered in `sent`. */
  readonly record?: boolean;
  readonly dial?: Dial;
}

/** One push that was handed to a connection. */
export interface SentPush {
  readonly meterNumber: string;
  readonly kind: PushKind;
  readonly pushSetup: string;
  /** Times of its rows, epoch ms. */
  readonly times: readonly number[];
  readonly eventCode: number | null;
  readonly counter: number;
}

export interface FleetStatistics extends Readonly<LineCounts> {
  readonly meters: number;
  /** Pushes sent, each counted once, and the rows in them. */
  readonly pushes: Readonly<Record<PushKind, number>>;
  readonly rows: Readonly<Record<PushKind, number>>;
}

const DEFAULT_SCHEDULE: MeterSchedule = {
  instantSeconds: 900,
  blocksPerPush: 1,
  incidentsPerDay: 4,
  history: true,
};

/** Pushes that may wait for their connections before meters are held back. */
const WAITING_MAX = 2_000;
/** Pushes made before sockets get their turn. */
const BURST = 200;
const SLEEP_MIN_MS = 2;
const SLEEP_MAX_MS = 1_000;
const FINISH_MS = 10_000;

interface Station {
  readonly meter: SimulatedMeter;
  readonly envelope: Envelope;
  readonly line: MeterLine;
  /** Delay of its pushes in ms of its clock. */
  readonly delayMs: number;
  counter: number;
}

function zeros(): Record<PushKind, number> {
  return Object.fromEntries(PUSH_KINDS.map((kind) => [kind, 0])) as Record<PushKind, number>;
}

/** Many simulated meters that push to one head-end. */
export class Fleet {
  readonly plans: readonly MeterPlan[];
  /** What was sent, where `record` was asked for. */
  readonly sent: SentPush[] = [];
  readonly #options: FleetOptions;
  readonly #stations: readonly Station[];
  readonly #due = new DueQueue();
  readonly #lines: LineCounts = { connections: 0, failures: 0, octets: 0, repeats: 0, waiting: 0 };
  readonly #pushes = zeros();
  readonly #rows = zeros();
  #timer: NodeJS.Timeout | null = null;
  #running = false;

  constructor(options: FleetOptions) {
    this.#options = options;
    const { meters, models = ["D1", "D2", "D3"], seed, clock, choices, target, connection, dial } = options;
    const known = loadModels(loadCatalogue());
    const schedule = { ...DEFAULT_SCHEDULE, ...options.schedule };
    const startMs = clock.now();
    this.#stations = Array.from({ length: meters }, (_, index) => {
      const model = known[models[index % models.length]!];
      const plan = planMeter(seed, index, model, {
        protection: null,
        framing: null,
        layout: null,
        ...choices,
      });
      return {
        meter: new SimulatedMeter(seed, plan, model, schedule, startMs),
        envelope: {
          systemTitle: plan.systemTitle,
          keys: protectionKeys(plan.guek, plan.gak),
          control: plan.protection,
          framing: plan.framing,
        },
        line: new MeterLine(target, connection ?? "standing", dial ?? dialTarget, this.#lines),
        delayMs: fraction(mix(seed, 61), index) * (options.spreadSeconds ?? 0) * 1_000,
        counter: options.firstCounter ?? 1,
      };
    });
    this.plans = this.#stations.map(({ meter }) => meter.plan);
    this.#stations.forEach((station, index) => {
      this.#due.add(station.meter.dueMs + station.delayMs, index);
    });
  }

  /** For `hes meters import`. */
  importCsv(): string {
    return importCsv(this.plans, (plan) => this.#stations[plan.index]!.meter.model.meterType);
  }

  /** For `hes keys import`. */
  keysCsv(): string {
    return keysCsv(this.plans);
  }

  get statistics(): FleetStatistics {
    return {
      meters: this.#stations.length,
      pushes: { ...this.#pushes },
      rows: { ...this.#rows },
      ...this.#lines,
    };
  }

  start(): void {
    if (this.#running) return;
    this.#running = true;
    this.#options.clock.start();
    this.#tick();
  }

  /** Captures nothing more, sends what waits and hangs up. */
  async stop(timeoutMs: number = FINISH_MS): Promise<void> {
    this.#running = false;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    await Promise.all(this.#stations.map(({ line }) => line.finish(timeoutMs)));
  }

  /** Lets meters push what is due by their clock, some of it at a time. Called by the timer that `start` sets. */
  advance(): void {
    const now = this.#options.clock.now();
    for (let made = 0; made < BURST && this.#lines.waiting < WAITING_MAX && this.#due.nextMs <= now; ) {
      const index = this.#due.take();
      const station = this.#stations[index]!;
      for (const push of station.meter.next()) {
        this.#send(station, push);
        made++;
      }
      this.#due.add(station.meter.dueMs + station.delayMs, index);
    }
  }

  #tick(): void {
    if (!this.#running) return;
    this.advance();
    const wait = this.#options.clock.realMsUntil(this.#due.nextMs);
    this.#timer = setTimeout(() => this.#tick(), Math.max(SLEEP_MIN_MS, Math.min(SLEEP_MAX_MS, wait)));
  }

  #send(station: Station, push: PushContent): void {
    const { plan } = station.meter;
    const counter = station.counter++;
    // Meters of an odd number say when they notify, the others leave that to the clock in the body.
    const at = plan.index % 2 === 1 ? push.times.at(-1)! : null;
    const plaintext = notification(push.body, counter & 0xff_ffff, at, plan.style.deviation);
    station.line.send(seal(station.envelope, plaintext, counter), () => {
      this.#pushes[push.kind]++;
      this.#rows[push.kind] += push.times.length;
      if (this.#options.record) {
        const { kind, pushSetup, times, eventCode } = push;
        this.sent.push({ meterNumber: plan.meterNumber, kind, pushSetup, times, eventCode, counter });
      }
    });
  }
}
