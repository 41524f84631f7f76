import { spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { ConfirmingMeters } from "./confirming-meters.ts";
import { ALWAYS, type DaemonFaults, FaultPlan, NO_FAULTS } from "./fault-plan.ts";
import { exactly, type Figure } from "./figures.ts";
import { Installation } from "./installation.ts";
import { tally } from "./tally.ts";

export interface DiskOptions {
  readonly meters: number;
  /** How often all faults come, one after the other. */
  readonly rounds: number;
  /** Confirmations under a fault under which pushes go on being confirmed. */
  readonly pushesPerFault: number;
  readonly seed: number;
}

interface Fault {
  readonly name: string;
  readonly faults: Partial<DaemonFaults>;
  /** Whether there is anything left that takes pushes. */
  readonly goesOn: boolean;
}

const { disk: _, ...none } = NO_FAULTS;
const fault = (disk: DaemonFaults["disk"], more: Partial<DaemonFaults> = {}): Partial<DaemonFaults> => ({
  ...{ ...none, disk, times: ALWAYS },
  ...more,
});
/** Longer than limits.durable_ms: what is synced then is safe, and confirmed only when it is sent again. */
const SLOWEST_MS = 2_500;
/** How long nothing is confirmed, where nothing may be. */
const SILENCE_MS = 700;

const WITH_DATABASE: readonly Fault[] = [
  { name: "disk full on write", faults: fault("full on write"), goesOn: true },
  { name: "every fsync fails", faults: fault("failing sync"), goesOn: true },
  { name: "every fsync takes 300 ms", faults: fault("slow sync", { slowMs: 300 }), goesOn: true },
];
const WITHOUT_DATABASE: readonly Fault[] = [
  { name: "disk full on write", faults: fault("full on write"), goesOn: false },
  { name: "disk full on fsync", faults: fault("full on sync"), goesOn: false },
  { name: "one fsync fails", faults: fault("failing sync", { times: 1 }), goesOn: true },
  { name: "every fsync fails", faults: fault("failing sync"), goesOn: false },
  { name: "every fsync takes 2.5 s", faults: fault("slow sync", { slowMs: SLOWEST_MS }), goesOn: true },
];

/**
 * The disk below a daemon's spool is full, slow or fails to sync, with the database there and away; each fault ends in a power cut that
 * takes from the spool what was not synced, or was written to a file of which a sync has failed.
 */
export async function disk(options: DiskOptions): Promise<Figure[]> {
  const installation = await Installation.make();
  const plan = new FaultPlan(installation.folder);
  Object.assign(installation.environment, plan.environment);
  try {
    return [...(await faulty(installation, plan, options)), ...(await really(options))];
  } finally {
    await installation.remove();
  }
}

function fleet({ meters, seed }: DiskOptions, ratePerSecond: number | null): ConfirmingMeters {
  return new ConfirmingMeters({
    ...{ meters, pushesPerMeter: 10_000, seed, ratePerSecond, repeatMs: 2_000 },
    onConfirmed: () => undefined,
  });
}

async function faulty(installation: Installation, plan: FaultPlan, options: DiskOptions): Promise<Figure[]> {
  const meters = fleet(options, 20 * options.meters);
  const figures: Figure[] = [];
  let octets = 0;
  await installation.register(meters);
  await installation.startDaemon();
  const running = meters.run(installation.port);
  const suffer = async ({ name, faults, goesOn }: Fault, database: string): Promise<void> => {
    await meters.confirms(options.pushesPerFault, "nothing is wrong");
    const before = meters.confirmedCount;
    await plan.take(installation.daemon!, faults);
    if (goesOn) await meters.confirms(options.pushesPerFault, name);
    else await new Promise((resolve) => setTimeout(resolve, SILENCE_MS));
    const under = meters.confirmedCount - before;
    await installation.killDaemon();
    octets += plan.powerCut(join(installation.environment["HES_DATA_DIR"]!, "spool"));
    await installation.startDaemon();
    figures.push({ name: `confirmed while ${name}, database ${database}`, value: under });
  };
  for (let round = 0; round < options.rounds; round++) {
    for (const fault of WITH_DATABASE) await suffer(fault, "there");
    await installation.knows(options.meters);
    await installation.stopDatabase();
    for (const fault of WITHOUT_DATABASE) await suffer(fault, "away");
    await installation.startDatabase();
  }
  meters.finish();
  await running;
  await installation.drained(120_000);
  const { lost, duplicated, unexpected } = await tally(installation, meters);
  return [
    ...figures,
    { name: "confirmed in all", value: meters.confirmedCount },
    {
      ...{ name: "taken by power cuts", value: octets, unit: "octets" },
      must: { be: "> 0", holds: octets > 0 },
    },
    exactly("lost", lost, 0),
    exactly("duplicated", duplicated, 0),
    exactly("unexpected", unexpected, 0),
  ];
}

/** Octets of a file system that is full soon; the snapshot beside the spool takes a third of it, and twice that while it is written. */
const SMALL_DISK = 4 << 20;

/** The spool on a file system of its own that fills up while the database is away, where the system lets one be mounted. */
async function really(options: DiskOptions): Promise<Figure[]> {
  const installation = await Installation.make();
  const folder = join(installation.folder, "small");
  mkdirSync(folder);
  const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", `size=${SMALL_DISK}`, "tmpfs", folder]);
  try {
    if (mounted.status !== 0)
      return [{ name: "SKIPPED: a file system that is really full", value: "mounting one needs root" }];
    installation.environment["HES_SPOOL__DIR"] = join(folder, "spool");
    return await full(installation, options);
  } finally {
    await installation.killDaemon();
    if (mounted.status === 0) spawnSync("umount", [folder]);
    await installation.remove();
  }
}

async function full(installation: Installation, options: DiskOptions): Promise<Figure[]> {
  const meters = fleet(options, null);
  await installation.register(meters);
  const daemon = await installation.startDaemon();
  await installation.knows(options.meters);
  const running = meters.run(installation.port);
  await meters.confirms(options.meters, "nothing is wrong");
  await installation.stopDatabase();
  await daemon.logged(({ msg }) => /no space left on device/.test(msg ?? ""));
  const waiting = meters.confirmedCount;
  await installation.killDaemon();
  await installation.startDaemon();
  await installation.startDatabase();
  await meters.confirms(options.pushesPerFault, "the database is back");
  meters.finish();
  await running;
  await installation.drained(120_000);
  const { lost, duplicated, unexpected } = await tally(installation, meters);
  return [
    { name: "confirmed until a disk of 4 MiB was full, database away", value: waiting },
    exactly("lost there", lost, 0),
    exactly("duplicated there", duplicated, 0),
    exactly("unexpected there", unexpected, 0),
  ];
}
