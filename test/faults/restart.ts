import { ConfirmingMeters } from "./confirming-meters.ts";
import { below, exactly, type Figure, quantile } from "./figures.ts";
import { Installation } from "./installation.ts";
import { tally } from "./tally.ts";

export interface RestartOptions {
  readonly meters: number;
  /** How often the daemon is killed and started, of each kind. */
  readonly rounds: number;
  /** Pushes that wait in the spool where some do. */
  readonly waiting: number;
  readonly seed: number;
  /** From the start of the process to its first confirmation; null: only told. */
  readonly restartMs: number | null;
}

/** Confirmations before the next kill, so that the one before is over. */
const BETWEEN = 200;
/** Of all meters together: what an outage leaves comes fast, and a daemon that starts has enough to do. */
const RATE_PER_SECOND = 2_000;
/** For how long they have pushes, in seconds; longer than any run. */
const ENOUGH_SECONDS = 1_200;

/**
 * From the start of a process to the first push that it confirms: with an empty spool, with one in which an outage has left much while the
 * database is away, and when it is back.
 */
export async function restart(options: RestartOptions): Promise<Figure[]> {
  const installation = await Installation.make();
  try {
    return await restarted(installation, options);
  } finally {
    await installation.remove();
  }
}

async function restarted(
  installation: Installation,
  { meters: count, rounds, waiting, seed, restartMs }: RestartOptions,
): Promise<Figure[]> {
  let first: (at: number) => void = () => undefined;
  const meters: ConfirmingMeters = new ConfirmingMeters({
    ...{ meters: count, pushesPerMeter: Math.ceil((RATE_PER_SECOND * ENOUGH_SECONDS) / count), seed },
    ...{ ratePerSecond: RATE_PER_SECOND, repeatMs: 5_000, onConfirmed: ({ at }) => first(at) },
  });
  await installation.register(meters);
  await installation.startDaemon();
  await installation.knows(count);
  const running = meters.run(installation.port);
  await meters.confirms(BETWEEN, "before the first kill");
  const times = async (): Promise<number[]> => {
    const taken: number[] = [];
    for (let round = 0; round < rounds; round++) taken.push(await once());
    return taken;
  };
  const once = async (): Promise<number> => {
    await installation.killDaemon();
    const begun = performance.now();
    const confirmed = new Promise<number>((resolve) => {
      first = resolve;
    });
    await installation.startDaemon();
    const took = (await confirmed) - begun;
    await meters.confirms(BETWEEN, "after a restart");
    return took;
  };
  const empty = await times();
  await installation.stopDatabase();
  await meters.confirms(waiting, "while the database is away");
  const away = await times();
  await installation.startDatabase();
  const back = await times();
  meters.finish();
  await running;
  await installation.drained(300_000);
  const { confirmed, lost, duplicated, unexpected } = await tally(installation, meters);
  const told = (name: string, taken: readonly number[]): Figure[] => [
    below(`${name}: median`, quantile(taken, 0.5), restartMs, "ms"),
    below(`${name}: slowest of ${rounds}`, quantile(taken, 1), null, "ms"),
  ];
  return [
    { name: "pushes that waited in the spool, at least", value: waiting },
    ...told("restart to first confirmation, empty spool", empty),
    ...told("the same, full spool, database away", away),
    ...told("the same, full spool, database there", back),
    exactly("confirmed", confirmed, meters.sent.size),
    exactly("lost", lost, 0),
    exactly("duplicated", duplicated, 0),
    exactly("unexpected", unexpected, 0),
  ];
}
