import { connect, type Socket } from "node:net";
import { type Envelope, notification, protectionKeys, seal } from "../../simulator/envelope.ts";
import { importCsv, keysCsv, type MeterPlan, planMeter } from "../../simulator/identity.ts";
import { SimulatedMeter } from "../../simulator/meter.ts";
import { loadModels, type Model } from "../../simulator/model.ts";
import { loadCatalogue } from "../../src/catalogue/catalogue.ts";
import { eventually } from "../support/daemon.ts";
import { digestOf, type LineKind, type PushLine, pushLine } from "./push-lines.ts";

/** Bit 30 of the long invoke id: a confirmation is asked for. */
const CONFIRMED = 0x4000_0000;
const WRAPPER_OCTETS = 8;
const INSTANT_SECONDS = 60;
/** After a connection broke or could not be made. */
const REDIAL_MS = 50;

export interface Confirmed {
  readonly systemTitle: string;
  readonly counter: number;
  /** From the first octet sent, on whatever connection, to the confirmation. */
  readonly latencyMs: number;
  /** Milliseconds of performance.now(). */
  readonly at: number;
}

export interface FleetOptions {
  readonly meters: number;
  readonly pushesPerMeter: number;
  readonly seed: number;
  /** "wrapper" where nothing is said. */
  readonly line?: LineKind;
  /** Of all meters together; null: each sends the next push when the last one is confirmed. */
  readonly ratePerSecond: number | null;
  readonly onConfirmed: (confirmed: Confirmed) => void;
  /** Told of every frame before it is sent for the first time. */
  readonly onSent?: (frame: Buffer) => void;
  /** Sent again on the same connection when no confirmation has come for so long. */
  readonly repeatMs: number;
  /** Whether it dials again for that. */
  readonly dialsAgain?: boolean;
  /** Where the line is cut when push number `push` of all, of so many octets, is sent for the first time: after how many, and how. */
  readonly cut?: (push: number, octets: number) => Cut | null;
}

interface Cut {
  readonly at: number;
  readonly reset: boolean;
}

/**
 * Meters that send a push and wait until it is confirmed; on a connection that broke they dial again and send it again, octet for octet.
 * The counter of a push is its number, and so is its invoke id.
 */
export class ConfirmingMeters {
  readonly importCsv: string;
  readonly keysCsv: string;
  /** First 16 octets of SHA-256 over each APDU that was sent, hex. */
  readonly sent = new Set<string>();
  confirmedCount = 0;
  /** Pushes of all meters so far. */
  private made = 0;
  /** Times a push was sent again. */
  repeated = 0;
  private readonly meters: ConfirmingMeter[];
  private ports: readonly number[] = [];
  private dialled = 0;

  constructor(options: FleetOptions) {
    const model = loadModels(loadCatalogue()).D1;
    const choices = { protection: 0x30, framing: "wrapper", layout: "flat" } as const;
    const plans = Array.from({ length: options.meters }, (_, n) =>
      planMeter(options.seed, n, model, choices),
    );
    this.importCsv = importCsv(plans);
    this.keysCsv = keysCsv(plans);
    const startMs = (Math.floor(Date.now() / 60_000) - options.pushesPerMeter - 2) * 60_000;
    const around = {
      port: () => this.ports[this.dialled++ % this.ports.length]!,
      made: (digest: string) => {
        this.sent.add(digest);
        return this.made++;
      },
      repeated: () => void this.repeated++,
      confirmed: (confirmed: Confirmed) => {
        this.confirmedCount++;
        options.onConfirmed(confirmed);
      },
      ...options,
    };
    const everyMs = options.ratePerSecond === null ? 0 : (options.meters * 1_000) / options.ratePerSecond;
    this.meters = plans.map(
      (plan, n) =>
        new ConfirmingMeter(plan, model, startMs, {
          ...around,
          everyMs,
          offsetMs: (everyMs * n) / plans.length,
        }),
    );
  }

  /** Resolves when every push of every meter is confirmed. With several ports, a meter that dials again takes the next. */
  async run(...ports: readonly number[]): Promise<void> {
    this.ports = ports;
    await Promise.all(this.meters.map((meter) => meter.run()));
  }

  /** Waits until so many more are confirmed. */
  async confirms(more: number, what: string): Promise<void> {
    const wanted = this.confirmedCount + more;
    const isReached = async () => (this.confirmedCount >= wanted ? true : null);
    await eventually(isReached, `${more} confirmations: ${what}`, 120_000);
  }

  /** No more pushes; what waits for its confirmation is given up. */
  stop(): void {
    for (const meter of this.meters) meter.stop();
  }

  /** No more new pushes: each meter ends when its last one is confirmed. */
  finish(): void {
    for (const meter of this.meters) meter.finish();
  }
}

interface Around extends FleetOptions {
  readonly port: () => number;
  /** Which push of all it is. */
  readonly made: (digest: string) => number;
  readonly repeated: () => void;
  readonly confirmed: (confirmed: Confirmed) => void;
  /** Between two pushes that become due; 0: none waits. */
  readonly everyMs: number;
  readonly offsetMs: number;
}

class ConfirmingMeter {
  private readonly around: Around;
  private readonly envelope: Envelope;
  private readonly plan: MeterPlan;
  private readonly device: SimulatedMeter;
  private counter = 0;
  /** What waits for its confirmation. */
  private apdu: Buffer | null = null;
  private readonly line: PushLine;
  private firstSentAt = 0;
  private socket: Socket | null = null;
  private timer: NodeJS.Timeout | null = null;
  private repeat: NodeJS.Timeout | null = null;
  private startedAt = 0;
  private resolve: () => void = () => undefined;
  private stopped = false;
  private finishing = false;
  /** Of a push that became due while there was no connection. */
  private cutAt: ((octets: number) => Cut | null) | undefined;

  constructor(plan: MeterPlan, model: Model, startMs: number, around: Around) {
    this.around = around;
    this.plan = plan;
    this.line = pushLine(around.line ?? "wrapper");
    const schedule = {
      instantSeconds: INSTANT_SECONDS,
      blockPushSeconds: null,
      incidentsPerDay: 0,
      history: false,
    };
    this.device = new SimulatedMeter(around.seed, plan, model, schedule, startMs);
    this.envelope = {
      systemTitle: plan.systemTitle,
      keys: protectionKeys(plan.keys),
      control: plan.protection,
      framing: plan.framing,
    };
  }

  run(): Promise<void> {
    this.startedAt = performance.now() + this.around.offsetMs;
    return new Promise((resolve) => {
      this.resolve = resolve;
      this.dial();
      this.next();
    });
  }

  stop(): void {
    this.stopped = true;
    if (this.timer !== null) clearTimeout(this.timer);
    if (this.repeat !== null) clearTimeout(this.repeat);
    this.socket?.destroy();
    this.resolve();
  }

  finish(): void {
    this.finishing = true;
    if (this.apdu === null) this.stop();
  }

  private next(): void {
    if (this.stopped) return;
    if (this.finishing || this.counter === this.around.pushesPerMeter) {
      this.stop();
      return;
    }
    const dueInMs = this.startedAt + this.counter * this.around.everyMs - performance.now();
    if (dueInMs > 0) this.timer = setTimeout(() => this.push(), dueInMs);
    else this.push();
  }

  private push(): void {
    this.counter++;
    const body = this.instantBody();
    const invokeBits = this.line.asks ? CONFIRMED : 0;
    const clear = notification(body, this.counter, null, this.plan.style.time, { invokeBits });
    const frame = seal(this.envelope, clear, this.counter);
    this.apdu = frame.subarray(WRAPPER_OCTETS);
    const push = this.around.made(digestOf(this.apdu));
    this.around.onSent?.(frame);
    this.firstSentAt = performance.now();
    this.send((octets) => this.around.cut?.(push, octets) ?? null);
  }

  private instantBody(): Buffer {
    for (;;) for (const push of this.device.next()) if (push.kind === "instant") return push.body;
  }

  /** `cutAt` of the first time. */
  private send(cutAt: (octets: number) => Cut | null = () => null): void {
    if (this.apdu === null) return;
    if (this.socket === null || this.socket.connecting) {
      this.cutAt = cutAt;
      return;
    }
    const frame = this.line.write(this.apdu, this.counter);
    const cut = cutAt(frame.length);
    if (cut !== null) {
      sendInPart(frame, this.socket, cut);
      return;
    }
    this.socket.write(frame);
    if (this.repeat !== null) clearTimeout(this.repeat);
    this.repeat = setTimeout(() => this.sendAgain(), this.around.repeatMs);
  }

  private sendAgain(): void {
    if (this.around.dialsAgain) this.socket?.destroy();
    else {
      this.around.repeated();
      this.send();
    }
  }

  private dial(): void {
    if (this.stopped) return;
    const socket = connect({ port: this.around.port(), host: "127.0.0.1", noDelay: true });
    this.socket = socket;
    this.line.dialled();
    socket.on("error", () => undefined);
    socket.on("connect", () => {
      if (this.apdu !== null) this.around.repeated();
      const { cutAt } = this;
      this.cutAt = undefined;
      this.send(cutAt);
    });
    socket.on("data", (octets) => this.read(octets));
    socket.on("close", () => {
      this.socket = null;
      if (!this.stopped) setTimeout(() => this.dial(), REDIAL_MS);
    });
  }

  private read(octets: Buffer): void {
    if (!this.line.isConfirmed(octets) || this.apdu === null) return;
    const at = performance.now();
    this.apdu = null;
    if (this.repeat !== null) clearTimeout(this.repeat);
    const systemTitle = this.plan.systemTitle.toString("hex");
    const { counter } = this;
    this.around.confirmed({ systemTitle, counter, latencyMs: at - this.firstSentAt, at });
    this.next();
  }
}

function sendInPart(frame: Buffer, socket: Socket, { at, reset }: Cut): void {
  socket.write(frame.subarray(0, at), () => {
    if (reset) socket.resetAndDestroy();
    else socket.destroySoon();
  });
}
