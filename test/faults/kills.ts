import { type Confirmed, ConfirmingMeters } from "./confirming-meters.ts";
import { below, exactly, type Figure, quantile } from "./figures.ts";
import { Installation } from "./installation.ts";
import { tally } from "./tally.ts";

export interface KillOptions {
  readonly pushes: number;
  readonly meters: number;
  /** kill -9 of the daemon, at random times. */
  readonly daemonKills: number;
  /** kill -9 of the postmaster. */
  readonly databaseKills: number;
  /** kill -9 of one backend, and pg_terminate_backend of another. */
  readonly backendKills: number;
  readonly seed: number;
  readonly random: () => number;
  /** From the start of the process to its first confirmation; null: only told. */
  readonly restartMs: number | null;
}

/** Of each meter, beyond what is asked for: the last kill may be late on a busy machine, and somebody must be there to be confirmed after it. */
const SPARE_PUSHES = 2_000;

type Kill = "daemon" | "database" | "backend";

/** Meters push and are confirmed while daemon, database and single backends are killed; then everything is counted. */
export async function kills(options: KillOptions): Promise<Figure[]> {
  const installation = await Installation.make();
  try {
    return await killed(installation, options);
  } finally {
    await installation.remove();
  }
}

async function killed(installation: Installation, options: KillOptions): Promise<Figure[]> {
  const latencies: number[] = [];
  let onConfirmed = (_: Confirmed) => {};
  const total = Math.ceil(options.pushes / options.meters) * options.meters;
  const plan = schedule(options, total);
  /** Kills that are not over. */
  let left = plan.length;
  const meters: ConfirmingMeters = new ConfirmingMeters({
    meters: options.meters,
    pushesPerMeter: total / options.meters + SPARE_PUSHES,
    ...{ seed: options.seed, ratePerSecond: null, repeatMs: 5_000 },
    onConfirmed: (confirmed) => {
      latencies.push(confirmed.latencyMs);
      onConfirmed(confirmed);
      if (left === 0 && meters.confirmedCount >= total) meters.finish();
    },
  });
  await installation.register(meters);
  await installation.startDaemon();
  const restarts: number[] = [];
  let databaseKills = 0;
  let backendKills = 0;
  const started = performance.now();
  const running = meters.run(installation.port);
  let chain: Promise<void> = Promise.resolve();
  const perform = async (kill: Kill): Promise<void> => {
    if (kill === "database") {
      databaseKills++;
      await installation.killDatabase();
    } else if (kill === "backend") {
      if (backendKills++ % 2 === 0) await installation.crashBackend();
      else await installation.killBackend();
    } else {
      await installation.killDaemon();
      const begun = performance.now();
      const first = new Promise<number>((resolve) => {
        onConfirmed = ({ at }) => {
          onConfirmed = onProgress;
          resolve(at - begun);
        };
      });
      await installation.startDaemon();
      restarts.push(await first);
    }
  };
  let failed: unknown = null;
  const onProgress = () => {
    if (plan.length === 0 || meters.confirmedCount < plan[0]!.after) return;
    const { kill } = plan.shift()!;
    chain = chain
      .then(() => (failed === null ? perform(kill) : undefined))
      .then(() => void left--)
      .catch((error: unknown) => {
        failed ??= error;
        process.stderr.write(`${(error as Error).stack}\n`);
        meters.stop();
      });
  };
  onConfirmed = onProgress;
  await running;
  await chain;
  if (failed !== null) throw failed;
  const seconds = (performance.now() - started) / 1_000;
  await installation.drained(120_000);
  const { confirmed, lost, duplicated, unexpected } = await tally(installation, meters);
  const isAll = confirmed === meters.sent.size;
  return [
    {
      ...{ name: "pushes confirmed", value: confirmed },
      must: { be: `>= ${total.toLocaleString("en")}, all`, holds: confirmed >= total && isAll },
    },
    exactly("kill -9 of the daemon", restarts.length, options.daemonKills),
    exactly("kill -9 of PostgreSQL", databaseKills, options.databaseKills),
    exactly("backends killed", backendKills, options.backendKills),
    { name: "sent again", value: meters.repeated },
    exactly("lost", lost, 0),
    exactly("duplicated", duplicated, 0),
    exactly("unexpected", unexpected, 0),
    below("restart to first confirmation, slowest", Math.max(0, ...restarts), options.restartMs, "ms"),
    below("restart to first confirmation, median", quantile(restarts, 0.5), null, "ms"),
    below("confirmation, 99th percentile", quantile(latencies, 0.99), null, "ms"),
    { name: "duration", value: seconds, unit: "s" },
  ];
}

/** Which kill comes after how many confirmations: at random, but not before the first tenth or after the last twentieth. */
function schedule({ daemonKills, databaseKills, backendKills, random }: KillOptions, total: number) {
  const list: Kill[] = [
    ...Array.from({ length: daemonKills }, () => "daemon" as const),
    ...Array.from({ length: databaseKills }, () => "database" as const),
    ...Array.from({ length: backendKills }, () => "backend" as const),
  ];
  return list
    .map((kill) => ({ kill, after: Math.floor(total * (0.05 + 0.85 * random())) }))
    .sort((a, b) => a.after - b.after);
}
