import { ConfirmingMeters } from "./confirming-meters.ts";
import { below, exactly, type Figure, quantile } from "./figures.ts";
import { Installation } from "./installation.ts";
import { tally } from "./tally.ts";

export interface OutageOptions {
  readonly meters: number;
  readonly ratePerSecond: number;
  /** How long the database is away. */
  readonly seconds: number;
  readonly seed: number;
  /** null: only told, where the machine decides. */
  readonly latencyMs: number | null;
  readonly drainFactor: number | null;
}

/** Before the database goes, and after it is back. */
const AROUND_SECONDS = 5;

/** The database is away while pushes come at a steady rate, and the daemon is restarted in between. */
export async function outage(options: OutageOptions): Promise<Figure[]> {
  const installation = await Installation.make();
  try {
    return await survived(installation, options);
  } finally {
    await installation.remove();
  }
}

async function survived(installation: Installation, options: OutageOptions): Promise<Figure[]> {
  const { meters: count, ratePerSecond, seconds } = options;
  const latencies: number[] = [];
  const total = Math.ceil((ratePerSecond * (seconds + AROUND_SECONDS)) / count) * count;
  const meters = new ConfirmingMeters({
    ...{ meters: count, pushesPerMeter: total / count, seed: options.seed, ratePerSecond, repeatMs: 5_000 },
    onConfirmed: ({ latencyMs }) => void latencies.push(latencyMs),
  });
  await installation.register(meters);
  await installation.startDaemon();
  await installation.knows(count);
  const running = meters.run(installation.port);
  await pause(AROUND_SECONDS);
  await installation.stopDatabase();
  await pause(seconds / 2);
  const begun = performance.now();
  // As a supervisor restarts it after a kill: nothing is handed over.
  await installation.killDaemon();
  await installation.startDaemon();
  const restartMs = performance.now() - begun;
  const whileAway = (await readiness(installation)) === "degraded";
  await running;
  const waiting = await records(installation);
  await installation.startDatabase();
  const back = performance.now();
  let first: { at: number; records: number } | null = null;
  for (;;) {
    const left = await records(installation);
    // The clock of draining starts when the first is stored: until then the database is looked for and looked over.
    if (first === null && left < waiting) first = { at: performance.now(), records: left };
    if (left === 0) break;
    await pause(0.05);
  }
  const drainSeconds = (performance.now() - (first?.at ?? back)) / 1_000;
  const drainRate = (first?.records ?? 0) / drainSeconds;
  const { confirmed, lost, duplicated, unexpected } = await tally(installation, meters);
  return [
    { name: "database away", value: seconds, unit: "s" },
    { name: "pushes", value: ratePerSecond, unit: "/s" },
    exactly("confirmed", confirmed, total),
    exactly("degraded while away, after a restart", Number(whileAway), 1),
    below("restart to ready while the database is away", restartMs, null, "ms"),
    below("confirmation, median", quantile(latencies, 0.5), null, "ms"),
    below("confirmation, 99th percentile", quantile(latencies, 0.99), options.latencyMs, "ms"),
    { name: "waited in the spool", value: waiting, unit: "pushes" },
    exactly("lost", lost, 0),
    exactly("duplicated", duplicated, 0),
    exactly("unexpected", unexpected, 0),
    {
      name: "from the database's start to the first stored",
      value: ((first?.at ?? back) - back) / 1_000,
      unit: "s",
    },
    { name: "drained", value: drainRate, unit: "/s" },
    {
      ...{ name: "drained, against the rate at which they came", value: drainRate / ratePerSecond },
      ...(options.drainFactor === null
        ? {}
        : {
            must: {
              be: `>= ${options.drainFactor}`,
              holds: drainRate / ratePerSecond >= options.drainFactor,
            },
          }),
    },
  ];
}

async function records(installation: Installation): Promise<number> {
  return Number(/^hes_spool_records (\d+)$/m.exec(await installation.metrics())![1]);
}

const readiness = async (installation: Installation): Promise<string> =>
  ((await (await fetch(`${installation.daemon!.http}/readyz`)).json()) as { status: string }).status;

const pause = (seconds: number) => new Promise((resolve) => setTimeout(resolve, seconds * 1_000));
