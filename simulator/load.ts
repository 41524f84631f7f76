import { loadCatalogue } from "../src/catalogue/catalogue.ts";
import { sendOnce } from "../src/transports/tcp-shot.ts";
import { notification, protectionKeys, seal } from "./envelope.ts";
import { importCsv, keysCsv, type MeterPlan, type PlanChoices, planMeter } from "./identity.ts";
import type { ConnectionHabit } from "./line-job.ts";
import { SimulatedMeter } from "./meter.ts";
import { loadModels, type Model, type ModelName } from "./model.ts";
import { type Dial, dialTarget, type Target, type Uplink } from "./uplink.ts";

export interface LoadOptions {
  readonly meters: number;
  readonly pushesPerMeter: number;
  readonly kind: "instant" | "block";
  readonly model: ModelName;
  readonly seed: number;
  /** Capture time of the first rows, epoch ms; each further push of a meter has a later one. */
  readonly startMs: number;
  readonly choices?: Partial<PlanChoices>;
  /** Invocation counter of each meter's first push. */
  readonly firstCounter?: number;
}

/** Pushes ready to be sent: ciphered and framed before the time that is measured begins. */
export interface Load {
  readonly plans: readonly MeterPlan[];
  readonly importCsv: string;
  readonly keysCsv: string;
  /** By meter, in the order of their counters. */
  readonly pushes: readonly (readonly Buffer[])[];
  readonly octets: number;
}

const INSTANT_SECONDS = 60;

export function prepareLoad(options: LoadOptions): Load {
  const { meters, seed, choices, model: name } = options;
  const model = loadModels(loadCatalogue())[name];
  const plans = Array.from({ length: meters }, (_, index) =>
    planMeter(seed, index, model, { protection: 0x30, framing: "wrapper", layout: "flat", ...choices }),
  );
  const pushes = plans.map((plan) => pushesOf(plan, model, options));
  return {
    plans,
    importCsv: importCsv(plans),
    keysCsv: keysCsv(plans),
    pushes,
    octets: pushes.flat().reduce((sum, push) => sum + push.length, 0),
  };
}

function pushesOf(plan: MeterPlan, model: Model, options: LoadOptions): Buffer[] {
  const { kind, seed, pushesPerMeter, startMs, firstCounter = 1 } = options;
  const schedule = {
    instantSeconds: kind === "instant" ? INSTANT_SECONDS : 0,
    blockPushSeconds: null,
    incidentsPerDay: 0,
    history: false,
  };
  const meter = new SimulatedMeter(seed, plan, model, schedule, startMs);
  const envelope = {
    systemTitle: plan.systemTitle,
    keys: protectionKeys(plan.keys),
    control: plan.protection,
    framing: plan.framing,
  };
  const pushes: Buffer[] = [];
  while (pushes.length < pushesPerMeter) {
    for (const push of meter.next()) {
      if (push.kind !== kind || pushes.length === pushesPerMeter) continue;
      const counter = firstCounter + pushes.length;
      pushes.push(seal(envelope, notification(push.body, counter, null, plan.style.time), counter));
    }
  }
  return pushes;
}

export interface SendOptions {
  readonly target: Target;
  readonly connection: ConnectionHabit;
  /** Pushes a second, over all meters; null: as fast as the head-end takes them. */
  readonly ratePerSecond: number | null;
  /** Connections open at once where each push has its own; standing ones are one a meter. */
  readonly concurrency?: number;
  /** How standing connections are made. */
  readonly dial?: Dial;
  /** Told how many standing connections there are; the first push goes when it resolves. */
  readonly dialled?: (connections: number) => Promise<void>;
}

export interface SendResult {
  readonly sent: number;
  readonly connections: number;
  /** Connections that could not be made or broke; what they should have carried was not sent. */
  readonly failures: number;
  /** From the first push to the last octet handed to the system. */
  readonly seconds: number;
}

/** Sends all of `load`. Standing connections are made before the clock starts. */
export function sendLoad(load: Load, options: SendOptions): Promise<SendResult> {
  return options.connection === "standing" ? sendStanding(load, options) : sendOneEach(load, options);
}

/** Says how many pushes may have been sent by now. */
function allowance(ratePerSecond: number | null): { start: number; allowed: () => number } {
  const start = performance.now();
  const allowed = () =>
    ratePerSecond === null
      ? Number.POSITIVE_INFINITY
      : ((performance.now() - start) / 1_000) * ratePerSecond + 1;
  return { start, allowed };
}

const DIALS_AT_ONCE = 128;
/** Pushes written before sockets get their turn. */
const BURST = 256;

interface Lane {
  readonly uplink: Uplink;
  readonly pushes: readonly Buffer[];
  next: number;
  blocked: boolean;
}

async function sendStanding(
  load: Load,
  { target, ratePerSecond, dial = dialTarget, dialled }: SendOptions,
): Promise<SendResult> {
  let failures = 0;
  const lanes: Lane[] = [];
  await eachAtOnce(load.pushes, DIALS_AT_ONCE, async (pushes) => {
    try {
      const uplink = await dial(target);
      const lane: Lane = { uplink, pushes, next: 0, blocked: false };
      uplink.onDrain(() => {
        lane.blocked = false;
      });
      lanes.push(lane);
    } catch {
      failures++;
    }
  });
  const connections = lanes.length;
  await dialled?.(connections);
  const { start, allowed } = allowance(ratePerSecond);
  let sent = 0;
  let open = lanes;
  // Where the last round stopped: at a limited rate the last lanes must not wait until the first ones are through.
  let at = 0;
  while (open.length > 0) {
    let written = 0;
    for (let looked = 0; looked < open.length && sent < allowed(); looked++) {
      const lane = open[at % open.length]!;
      at = (at + 1) % open.length;
      if (lane.blocked || lane.uplink.closed || lane.next === lane.pushes.length) continue;
      lane.blocked = !lane.uplink.write(lane.pushes[lane.next]!);
      lane.next++;
      sent++;
      if (++written >= BURST) await turn();
    }
    await (written === 0 ? pause() : turn());
    failures += open.filter(({ uplink, next, pushes }) => uplink.closed && next < pushes.length).length;
    open = open.filter(({ uplink, next, pushes }) => !uplink.closed && next < pushes.length);
  }
  await Promise.all(lanes.map(({ uplink }) => closed(uplink)));
  return { sent, connections, failures, seconds: (performance.now() - start) / 1_000 };
}

async function sendOneEach(load: Load, options: SendOptions): Promise<SendResult> {
  const { target, ratePerSecond, concurrency = 64 } = options;
  await options.dialled?.(0);
  const longest = Math.max(0, ...load.pushes.map(({ length }) => length));
  // All first pushes, then all second ones: a meter's own pushes are as far apart as can be, so none overtakes another.
  const order = Array.from({ length: longest }, (_, round) =>
    load.pushes.flatMap((pushes) => (round < pushes.length ? [pushes[round]!] : [])),
  ).flat();
  let failures = 0;
  let sent = 0;
  const { start, allowed } = allowance(ratePerSecond);
  let begun = 0;
  await eachAtOnce(order, Math.min(concurrency, load.pushes.length), async (push) => {
    while (begun >= allowed()) await pause();
    begun++;
    try {
      await sendOnce(target, push);
      sent++;
    } catch {
      failures++;
    }
  });
  return { sent, connections: sent, failures, seconds: (performance.now() - start) / 1_000 };
}

/** Runs `work` on all items, so many at once, begun in their order. */
async function eachAtOnce<T>(
  items: readonly T[],
  atOnce: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  let next = 0;
  const worker = async () => {
    while (next < items.length) await work(items[next++]!);
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
}

function closed(uplink: Uplink): Promise<void> {
  return new Promise((resolve, reject) => {
    uplink.onClose((error) => (error === null ? resolve() : reject(error)));
    uplink.close();
  });
}

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
const pause = () => new Promise<void>((resolve) => setTimeout(resolve, 1));
