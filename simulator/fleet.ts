import { loadCatalogue } from "../src/catalogue/catalogue.ts";
import type { SocketAddress } from "../src/transports/address.ts";
import { TcpListener } from "../src/transports/tcp-listener.ts";
import type { Clock } from "./clock.ts";
import type { ClockErrors } from "./clock-error.ts";
import { INTERFACE_NAMES, type InterfaceName, loadInterfaces } from "./customer-interface/interface-model.ts";
import { planInterface } from "./customer-interface/interface-plan.ts";
import { InterfaceSender } from "./customer-interface/interface-sender.ts";
import { type DeviceModel, deviceOf } from "./device/device-model.ts";
import { withTrialClients } from "./device/trial-clients.ts";
import { DueQueue } from "./due-queue.ts";
import type { Answer, FaultName, FaultShares } from "./faults.ts";
import { importCsv, keysCsv, type MeterPlan, type PlanChoices, planMeter } from "./identity.ts";
import { Ledger } from "./ledger.ts";
import { MeterLine } from "./line.ts";
import { type LineCounts, noCounts } from "./line-counts.ts";
import type { ConnectionHabit } from "./line-job.ts";
import { type MeterSchedule, SimulatedMeter } from "./meter.ts";
import { loadModels, MODEL_NAMES, type Model, type PushKind } from "./model.ts";
import type { PushContent } from "./push-body.ts";
import { fraction, mix } from "./random.ts";
import { type PushHabits, Station, type StationEvents, type StationOptions } from "./station.ts";
import { type Dial, dialTarget, type Target } from "./uplink.ts";

export const FLEET_MODEL_NAMES = [...MODEL_NAMES, ...INTERFACE_NAMES] as const;
/** What a fleet may consist of: meters, and customer interfaces. */
export type FleetModelName = (typeof FLEET_MODEL_NAMES)[number];

export interface FleetOptions {
  /** How many meters. */
  readonly meters: number;
  /** Models in turn; D1, D2 and D3 by default. */
  readonly models?: readonly FleetModelName[];
  /** Everything that meters do follows from it, and from the clock. */
  readonly seed: number;
  /** The head-end. */
  readonly target: Target;
  /** What the fleet lives by; may run faster than time. */
  readonly clock: Clock;
  readonly schedule?: Partial<MeterSchedule>;
  /** Customer interfaces send no list more often; as often as theirs does where absent. Seconds. */
  readonly listSeconds?: number;
  /** Fixed for all meters what is given; the rest differs from meter to meter. */
  readonly choices?: Partial<PlanChoices>;
  readonly connection?: ConnectionHabit;
  /** How push setups have their pushes delivered. */
  readonly delivery?: Partial<PushHabits> & {
    /** Share of the meters that ask for a confirmation of each push, 0 … 1. */
    readonly confirmedShare?: number;
  };
  /** Meters hold what they have to push back by up to so many seconds of their clock, each by its own time. */
  readonly spreadSeconds?: number;
  /** Meters begin to push one after the other over so many ms of the fleet's clock. */
  readonly rampMs?: number;
  /** Invocation counter of each meter's first push. Must be above that of the last run against the same head-end. */
  readonly firstCounter?: number;
  readonly faults?: FaultShares;
  readonly clockErrors?: ClockErrors;
  readonly powerCut?: PowerCut;
  /** Share of block load pushes that meters capture and don't push, 0 … 1: holes that only polls can fill. */
  readonly holes?: number;
  /** Where meters can be called: meter number i listens on the port + i. null: only over the connections that they make. */
  readonly listen?: SocketAddress;
  /** What meters answer from, where it isn't their own model: a meter that was read. */
  readonly device?: DeviceModel;
  /** Whether every push sent is remembered in `sent`. */
  readonly record?: boolean;
  readonly dial?: Dial;
}

/** The power of all meters fails at the same instant. In ms of the fleet's clock. */
export interface PowerCut {
  /** After the start. */
  readonly afterMs: number;
  readonly darkMs: number;
  /** Meters come back one after the other over so long. */
  readonly backWithinMs: number;
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
  /** Faults that befell pushes, by name, and what the head-end has to make of what they added, where it came to see it. */
  readonly faults: Readonly<Partial<Record<FaultName, number>>>;
  readonly answers: Readonly<Partial<Record<Answer, number>>>;
  /** Rows that were captured and kept back, where `holes` asks for it. */
  readonly holes: number;
}

const DEFAULT_SCHEDULE: MeterSchedule = {
  instantSeconds: 900,
  blockPushSeconds: null,
  incidentsPerDay: 4,
  history: true,
};
const EXACT_CLOCKS: ClockErrors = { drift: 0, jump: 0 };

/** Pushes that may wait for their connections before meters are held back. */
const WAITING_MAX = 2_000;
/** Pushes made before sockets get their turn. */
const BURST = 200;
const SLEEP_MIN_MS = 2;
const SLEEP_MAX_MS = 1_000;
const FINISH_MS = 10_000;
/** Calls that may be open at once, to all meters together. */
const CALLS_MAX = 20_000;

/** Many simulated meters that push to one head-end. */
export class Fleet {
  readonly plans: readonly MeterPlan[];
  /** What was sent, meter by meter. */
  readonly ledger: Ledger;
  /** What was sent, where `record` was asked for. */
  readonly sent: SentPush[] = [];
  readonly #options: FleetOptions;
  readonly #stations: readonly Station[];
  #due = new DueQueue();
  readonly #lines: LineCounts = noCounts();
  readonly #faults: Partial<Record<FaultName, number>> = {};
  readonly #answers: Partial<Record<Answer, number>> = {};
  #holes = 0;
  #listeners: TcpListener[] = [];
  #powerFailsAtMs: number;
  #timer: NodeJS.Timeout | null = null;
  #running = false;

  constructor(options: FleetOptions) {
    this.#options = options;
    this.ledger = new Ledger(options.meters);
    const startMs = options.clock.now();
    this.#powerFailsAtMs = startMs + (options.powerCut?.afterMs ?? Number.POSITIVE_INFINITY);
    this.#stations = stationsOf(options, startMs, this.#lines, {
      sent: (station, push, counter) => this.#record(station, push, counter),
      hole: ({ times }) => {
        this.#holes += times.length;
      },
      mishap: (fault, answer, times) => {
        this.#faults[fault] = (this.#faults[fault] ?? 0) + 1;
        this.#answers[answer] = (this.#answers[answer] ?? 0) + times;
      },
      unseen: (answer, times) => {
        this.#answers[answer]! -= times;
      },
    });
    this.plans = this.#stations.map(({ meter }) => meter.plan);
    this.#line();
  }

  /** For `hes meters import`. */
  importCsv(): string {
    const { listen } = this.#options;
    return importCsv(this.plans, listen ?? null);
  }

  /** For `hes keys import`. */
  keysCsv(): string {
    return keysCsv(this.plans);
  }

  get statistics(): FleetStatistics {
    const { nothing: _, ...answers } = this.#answers;
    return {
      meters: this.#stations.length,
      pushes: this.ledger.total("pushes"),
      rows: this.ledger.total("rows"),
      faults: { ...this.#faults },
      answers,
      holes: this.#holes,
      ...this.#lines,
    };
  }

  /** Lets meters be called, where `listen` says so. @throws TransportError */
  async listen(): Promise<void> {
    const { listen } = this.#options;
    if (listen === undefined) return;
    const connections = { open: 0, max: CALLS_MAX };
    for (const [index, station] of this.#stations.entries()) {
      const listener = await TcpListener.listen({
        address: { host: listen.host, port: listen.port === 0 ? 0 : listen.port + index },
        connections,
        onConnection: (connection) => station.answerOn(connection),
        onError: () => {},
      });
      this.#listeners.push(listener);
    }
  }

  /** Where meter number `index` can be called; null: nowhere. */
  addressOf(index: number): SocketAddress | null {
    return this.#listeners[index]?.address ?? null;
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
    await Promise.all(this.#stations.map((station) => station.finish(timeoutMs)));
    await Promise.all(this.#listeners.splice(0).map((listener) => listener.close()));
  }

  /** Lets meters push what is due by the clock, some of it at a time. Called by the timer that `start` sets. */
  advance(): void {
    const now = this.#options.clock.now();
    if (now >= this.#powerFailsAtMs) this.#failPower(now);
    for (let made = 0; made < BURST && this.#lines.waiting < WAITING_MAX && this.#due.nextMs <= now; ) {
      const index = this.#due.take();
      const station = this.#stations[index]!;
      made += 1 + station.act(station.dueMs);
      this.#due.add(station.dueMs, index);
    }
  }

  #tick(): void {
    if (!this.#running) return;
    this.advance();
    const next = Math.min(this.#due.nextMs, this.#powerFailsAtMs);
    const wait = this.#options.clock.realMsUntil(next);
    this.#timer = setTimeout(() => this.#tick(), Math.max(SLEEP_MIN_MS, Math.min(SLEEP_MAX_MS, wait)));
  }

  #failPower(now: number): void {
    this.#powerFailsAtMs = Number.POSITIVE_INFINITY;
    const { powerCut, seed } = this.#options;
    const { darkMs, backWithinMs } = powerCut!;
    this.#stations.forEach((station, index) => {
      station.losePower(now, now + darkMs + fraction(mix(seed, 62), index) * backWithinMs);
    });
    this.#line();
  }

  /** Who is due when, anew. */
  #line(): void {
    this.#due = new DueQueue();
    this.#stations.forEach((station, index) => {
      this.#due.add(station.dueMs, index);
    });
  }

  #record(station: Station, push: PushContent, counter: number): void {
    const { plan } = station.meter;
    this.ledger.add(plan.index, push);
    if (!this.#options.record) return;
    const { kind, pushSetup, times, eventCode } = push;
    this.sent.push({ meterNumber: plan.meterNumber, kind, pushSetup, times, eventCode, counter });
  }
}

function stationsOf(
  options: FleetOptions,
  startMs: number,
  lines: LineCounts,
  events: StationEvents,
): Station[] {
  const { meters, models = ["D1", "D2", "D3"], seed, target, connection, dial } = options;
  const sources = sourcesOf(options, startMs);
  const own = (salt: number, index: number) => fraction(mix(seed, salt), index);
  return Array.from({ length: meters }, (_, index) => {
    const { meter, device } = sources(models[index % models.length]!, index);
    const { localAddress } = meter.plan;
    const rampMs = options.rampMs ?? 0;
    const called = localAddress === null ? target : { ...target, localAddress };
    return new Station({
      meter,
      line: new MeterLine(called, connection ?? "standing", dial ?? dialTarget, lines),
      seed: mix(seed, index + 1),
      delayMs: own(61, index) * (options.spreadSeconds ?? 0) * 1_000,
      silentUntilMs: rampMs === 0 ? 0 : startMs + own(63, index) * rampMs,
      firstCounter: options.firstCounter ?? 1,
      faults: options.faults ?? {},
      clockErrors: options.clockErrors ?? EXACT_CLOCKS,
      startMs,
      events,
      clock: options.clock,
      device,
      destination: `${target.host}:${target.port}`,
      holes: options.holes ?? 0,
      counts: lines,
      delivery: deliveryOf(options, meter.plan, own(64, index)),
    });
  });
}

/** Only wrapper PDUs carry confirmations, and a customer interface hears none. */
function deliveryOf({ delivery }: FleetOptions, { framing, clients }: MeterPlan, chance: number): PushHabits {
  const { confirmedShare = 0, ...rest } = delivery ?? {};
  const confirmed = framing === "wrapper" && clients.length > 0 && chance < confirmedShare;
  return { ...AT_ONCE, ...rest, confirmed };
}

const AT_ONCE: PushHabits = { confirmed: false, retries: 3, repetitionMs: 10_000, randomisationMs: 0 };

/** What number `index` of the fleet is. */
type Sources = (name: FleetModelName, index: number) => Pick<StationOptions, "meter" | "device">;

function sourcesOf(options: FleetOptions, startMs: number): Sources {
  const { seed, choices, target } = options;
  const catalogue = loadCatalogue();
  const known = loadModels(catalogue);
  const interfaces = loadInterfaces(catalogue);
  const schedule = { ...DEFAULT_SCHEDULE, ...options.schedule };
  const deviceFor = (model: Model) =>
    choices?.trialClients ? withTrialClients(deviceOf(model)) : deviceOf(model);
  const devices = new Map(Object.values(known).map((model) => [model, deviceFor(model)]));
  return (name, index) => {
    if (isInterface(name)) {
      const model = interfaces[name];
      const plan = planInterface(seed, index, model, LOOPBACK.test(target.host));
      const slowestMs = (options.listSeconds ?? 0) * 1_000;
      return { meter: new InterfaceSender(seed, plan, model, slowestMs, startMs), device: null };
    }
    const model = known[name];
    const plan = planMeter(seed, index, model, { protection: null, framing: null, layout: null, ...choices });
    const meter = new SimulatedMeter(seed, plan, model, schedule, startMs);
    return { meter, device: { meter, model: options.device ?? devices.get(model)! } };
  };
}

const LOOPBACK = /^(127\.|localhost$)/;

function isInterface(name: FleetModelName): name is InterfaceName {
  return (INTERFACE_NAMES as readonly string[]).includes(name);
}
