import { rmSync } from "node:fs";
import { join } from "node:path";
import { type DaemonProcess, startDaemonProcess } from "../support/daemon.ts";
import { NatsServers } from "../support/nats-servers.ts";
import { ConfirmingMeters } from "./confirming-meters.ts";
import { below, exactly, type Figure, quantile } from "./figures.ts";
import { freePort, Installation } from "./installation.ts";
import { tally } from "./tally.ts";

export interface MachinesOptions {
  readonly pushes: number;
  readonly meters: number;
  readonly seed: number;
  /** How often, one after the other, a machine is lost. */
  readonly losses: number;
}

/** A machine with a daemon on it, which can be lost and set up anew. */
class Machine {
  readonly port: number;
  private readonly environment: Record<string, string>;
  private readonly disk: string;
  private daemon: DaemonProcess | null = null;

  constructor(installation: Installation, name: string, port: number, environment: Record<string, string>) {
    this.port = port;
    this.disk = join(installation.folder, name);
    this.environment = {
      ...installation.environment,
      HES_DATA_DIR: this.disk,
      // Not lost with a machine: whoever has lost it has lost the keys of all meters.
      HES_SECURITY__KEK_FILE: join(installation.folder, "data", "kek"),
      HES_LISTEN__TCP: `127.0.0.1:${port}`,
      ...environment,
    };
  }

  async start(): Promise<void> {
    this.daemon = await startDaemonProcess(this.environment);
  }

  /** Power gone; `withDisk`: and what was on its disk. */
  async lose(withDisk: boolean): Promise<void> {
    await this.daemon?.end("SIGKILL");
    if (withDisk) rmSync(this.disk, { recursive: true, force: true });
  }

  /** Records that it knows of and that aren't stored. */
  async waiting(): Promise<number> {
    const text = await fetch(`${this.daemon!.http}/metrics`).then((response) => response.text());
    return Number(/^hes_spool_records (\d+)$/m.exec(text)?.[1]);
  }

  async state(): Promise<string> {
    const health = await fetch(`${this.daemon!.http}/healthz`).then((response) => response.text());
    return `${await this.waiting()} wait, ${health}`;
  }

  async end(): Promise<void> {
    await this.daemon?.end("SIGTERM");
  }
}

/**
 * Two daemons on one database and on JetStream: under load one broker of three loses its disk, and one daemon its own, in turn, again and
 * again; what is lost is set up anew, empty.
 */
export async function clustered(options: MachinesOptions): Promise<Figure[]> {
  const brokers = await NatsServers.start(3);
  const environment = {
    HES_DURABLE_LOG__KIND: "jetstream",
    HES_JETSTREAM__SERVERS: JSON.stringify(brokers.urls),
    HES_JETSTREAM__BYTES_MAX: String(1 << 28),
  };
  let turn = 0;
  try {
    return await lost(options, environment, async ([first, second]) => {
      const broker = turn % 3;
      const machine = turn % 2 === 0 ? first! : second!;
      turn++;
      await brokers.destroy(broker);
      await machine.lose(true);
      await machine.start();
      // An empty broker comes back when the others have a leader for every stream again.
      await brokers.settled(broker);
      brokers.begin(broker);
      await brokers.settled(null);
    });
  } finally {
    await brokers.stop();
  }
}

/**
 * Two daemons on one database, each with its own spool: they are killed in turn, and started again on what their disks hold. Some of the times
 * the database is killed, too, while one of them is down.
 */
export async function spools(
  options: MachinesOptions & { readonly databaseKills: number },
): Promise<Figure[]> {
  const { losses, databaseKills } = options;
  let turn = 0;
  let killed = 0;
  const figures = await lost(options, {}, async (machines, installation) => {
    const machine = machines[turn++ % 2]!;
    await machine.lose(false);
    if (killed < Math.floor((turn * databaseKills) / losses)) {
      killed++;
      await installation.killDatabase();
    }
    await machine.start();
  });
  return [...figures, exactly("kill -9 of PostgreSQL", killed, databaseKills)];
}

/** Resolves when what was lost is there again. */
type Loss = (machines: readonly Machine[], installation: Installation) => Promise<void>;

async function lost(
  options: MachinesOptions,
  environment: Record<string, string>,
  loss: Loss,
): Promise<Figure[]> {
  const installation = await Installation.make();
  const names = ["one", "two"];
  const machines: Machine[] = [];
  for (const name of names) machines.push(new Machine(installation, name, await freePort(), environment));
  try {
    return await underLoad(installation, machines, options, loss);
  } finally {
    for (const machine of machines) await machine.lose(true);
    await installation.remove();
  }
}

async function underLoad(
  installation: Installation,
  machines: readonly Machine[],
  { pushes, meters: meterCount, seed, losses }: MachinesOptions,
  loss: Loss,
): Promise<Figure[]> {
  const pushesPerMeter = Math.ceil(pushes / meterCount);
  const total = pushesPerMeter * meterCount;
  const latencies: number[] = [];
  let happened = 0;
  let chain: Promise<void> = Promise.resolve();
  let failed: unknown = null;
  const meters: ConfirmingMeters = new ConfirmingMeters({
    ...{ meters: meterCount, pushesPerMeter, seed, ratePerSecond: null, repeatMs: 3_000, dialsAgain: true },
    onConfirmed: ({ latencyMs }) => {
      latencies.push(latencyMs);
      if (happened === losses || meters.confirmedCount < ((happened + 1) * total) / (losses + 2)) return;
      happened++;
      chain = chain
        .then(() => loss(machines, installation))
        .catch((error: unknown) => {
          failed ??= error;
          meters.stop();
        });
    },
  });
  await installation.register(meters);
  for (const machine of machines) await machine.start();
  const started = performance.now();
  await meters.run(...machines.map(({ port }) => port));
  await chain;
  if (failed !== null) throw failed;
  const seconds = (performance.now() - started) / 1_000;
  await drained(machines);
  const counted = await tally(installation, meters);
  const refused = await installation.query(
    "SELECT reason, sum(occurrences)::int AS n FROM security_events GROUP BY 1",
  );
  const verdicts = await installation.query(
    "SELECT verdict, count(*)::int AS n FROM push_history WHERE verdict <> 'applied' GROUP BY 1",
  );
  for (const machine of machines) await machine.end();
  return [
    exactly("pushes confirmed", counted.confirmed, total),
    exactly("machines lost under load", happened, losses),
    { name: "sent again", value: meters.repeated },
    exactly("lost", counted.lost, 0),
    exactly("duplicated", counted.duplicated, 0),
    exactly("unexpected", counted.unexpected, 0),
    { name: "of them", value: JSON.stringify([...refused, ...verdicts]) },
    below("confirmation, median", quantile(latencies, 0.5), null, "ms"),
    below("confirmation, 99th percentile", quantile(latencies, 0.99), null, "ms"),
    below("confirmation, slowest", quantile(latencies, 1), null, "ms"),
    { name: "pushes a second, with all losses", value: total / seconds },
    { name: "duration", value: seconds, unit: "s" },
  ];
}

async function drained(machines: readonly Machine[]): Promise<void> {
  const deadline = performance.now() + 60_000;
  for (;;) {
    const all = await Promise.all(machines.map((machine) => machine.waiting()));
    if (all.every((waiting) => waiting === 0)) return;
    if (performance.now() > deadline) {
      const states = await Promise.all(machines.map((machine) => machine.state()));
      throw new Error(`what was accepted was not stored in time: ${states.join("; ")}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
