import type { SocketAddress } from "../src/transports/address.ts";
import { TcpListener } from "../src/transports/tcp-listener.ts";
import { DueQueue } from "./due-queue.ts";
import type { Answer, FaultName } from "./faults.ts";
import type { FleetOptions } from "./fleet-options.ts";
import { stationsOf } from "./fleet-stations.ts";
import { importCsv, keysCsv, type MeterPlan } from "./identity.ts";
import { Ledger } from "./ledger.ts";
import { type LineCounts, noCounts } from "./line-counts.ts";
import type { PushKind } from "./model.ts";
import type { PushContent } from "./push-body.ts";
import { fraction, mix } from "./random.ts";
import type { Station } from "./station.ts";

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

  /** Lets happen what is due by the clock, some of it at a time, each thing at its own instant, however late. Called by the timer that `start` sets. */
  advance(): void {
    const now = this.#options.clock.now();
    for (let made = 0; made < BURST && this.#lines.waiting < WAITING_MAX; ) {
      const next = Math.min(this.#due.nextMs, this.#powerFailsAtMs);
      if (next > now) return;
      if (next === this.#powerFailsAtMs) {
        this.#failPower(next);
        continue;
      }
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

  #failPower(atMs: number): void {
    this.#powerFailsAtMs = Number.POSITIVE_INFINITY;
    const { powerCut, seed } = this.#options;
    const { darkMs, backWithinMs } = powerCut!;
    this.#stations.forEach((station, index) => {
      station.losePower(atMs, atMs + darkMs + fraction(mix(seed, 62), index) * backWithinMs);
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
