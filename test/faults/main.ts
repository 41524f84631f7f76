import { parseArgs } from "node:util";
import { hasNatsServer } from "../support/nats-servers.ts";
import { adoption } from "./adoption.ts";
import { clock } from "./clock.ts";
import { cuts } from "./cuts.ts";
import { disk } from "./disk.ts";
import { type Figure, printFigures } from "./figures.ts";
import { kills } from "./kills.ts";
import { clustered, spools } from "./machines.ts";
import { outage } from "./outage.ts";
import { restart } from "./restart.ts";
import { canTrace, strace } from "./strace.ts";

const USAGE = `npm run test:faults -- [--only NAME] [--long] [--seed N] [options of one]
  --only     kills, outage, clock, cuts (these where nothing is said), disk, restart, spools, jetstream, strace,
             adoption; with commas between them
  --long     50,000 pushes across 30 kills of the daemon and 10 of PostgreSQL; the database away for ten minutes at 1,000 pushes/s;
             every fault of the disk ten times, more steps of the clock, every octet twenty times; and times are held to what is promised of
             them. Without it a few minutes in all, and times are only told
  --pushes, --meters, --losses   of spools and jetstream: two daemons on one database of which one is killed in turn, with spools now and then
             together with PostgreSQL (--database-kills); with JetStream it loses its disk together with one broker of three (nats-server on the PATH;
             skipped where it isn't)
  --pushes, --meters, --daemon-kills, --database-kills, --backend-kills   of kills
  --seconds, --rate                                                      of outage
  --meters, --rounds                                                     of disk and cuts
  --meters, --rounds, --pushes                                           of restart: --pushes wait in the spool
  --meters, --rows, --kills                                              of adoption: \`hes migrate --adopt-timescaledb\` is killed so often, in databases
             with so many rows each; on the server of HES_TEST_TIMESCALE_URL, skipped where that isn't set
`;

const { values } = parseArgs({
  options: {
    only: { type: "string" },
    long: { type: "boolean", default: false },
    seed: { type: "string" },
    pushes: { type: "string" },
    meters: { type: "string" },
    "daemon-kills": { type: "string" },
    "database-kills": { type: "string" },
    "backend-kills": { type: "string" },
    losses: { type: "string" },
    seconds: { type: "string" },
    rate: { type: "string" },
    rounds: { type: "string" },
    rows: { type: "string" },
    kills: { type: "string" },
    help: { type: "boolean", default: false },
  },
});

const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31));
const { long } = values;
const count = (text: string | undefined, short: number, whole: number) =>
  Number(text ?? (long ? whole : short));

/** Without --only; the others take longer, or need several daemons and brokers at once, and a machine that has room for them. */
const ALWAYS = ["kills", "outage", "clock", "cuts"];

const scenarios: Record<string, () => Promise<Figure[]>> = {
  kills: () =>
    kills({
      pushes: count(values.pushes, 2_000, 50_000),
      meters: count(values.meters, 50, 200),
      daemonKills: count(values["daemon-kills"], 2, 30),
      databaseKills: count(values["database-kills"], 1, 10),
      backendKills: count(values["backend-kills"], 1, 10),
      restartMs: long ? 2_000 : null,
      ...{ seed, random: randomOf(seed) },
    }),
  spools: () =>
    spools({
      ...machinesOptions(),
      losses: count(values.losses, 2, 30),
      databaseKills: count(values["database-kills"], 1, 10),
    }),
  jetstream: async () =>
    hasNatsServer()
      ? clustered(machinesOptions())
      : [{ name: "SKIPPED", value: "no nats-server on the PATH" }],
  outage: () =>
    outage({
      meters: count(values.meters, 100, 1_000),
      ratePerSecond: count(values.rate, 200, 1_000),
      seconds: count(values.seconds, 8, 600),
      ...{ seed, latencyMs: long ? 100 : null, drainFactor: long ? 4 : null },
    }),
  restart: () =>
    restart({
      meters: count(values.meters, 50, 1_000),
      rounds: count(values.rounds, 2, 10),
      waiting: count(values.pushes, 2_000, 100_000),
      restartMs: long ? 2_000 : null,
      seed,
    }),
  disk: () =>
    disk({
      meters: count(values.meters, 20, 100),
      rounds: count(values.rounds, 1, 10),
      pushesPerFault: long ? 1_000 : 50,
      seed,
    }),
  clock: () => clock({ meters: count(values.meters, 20, 100), pushesPerStep: long ? 1_000 : 50, long, seed }),
  cuts: () => cuts({ meters: count(values.meters, 20, 20), rounds: count(values.rounds, 1, 20), seed }),
  adoption: async () => {
    const serverUrl = process.env["HES_TEST_TIMESCALE_URL"];
    if (serverUrl === undefined)
      return [{ name: "SKIPPED", value: "set HES_TEST_TIMESCALE_URL to a server with TimescaleDB" }];
    return adoption({
      ...{ serverUrl, random: randomOf(seed) },
      kills: count(values.kills, 4, 30),
      rows: count(values.rows, 100_000, 1_000_000),
      meters: count(values.meters, 100, 500),
    });
  },
  strace: () =>
    strace({ pushes: count(values.pushes, 1_000, 10_000), meters: count(values.meters, 20, 100), seed }),
};

function machinesOptions() {
  const losses = count(values.losses, 2, 10);
  return {
    pushes: count(values.pushes, 3_000, 50_000),
    meters: count(values.meters, 50, 200),
    ...{ losses, seed },
  };
}

/** The same kills at the same pushes for the same seed (mulberry32). */
function randomOf(start: number): () => number {
  let state = start;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

if (values.help) process.stdout.write(USAGE);
else {
  const chosen = values.only === undefined ? ALWAYS : values.only.split(",");
  process.stdout.write(`seed ${seed}\n`);
  for (const name of chosen) {
    if (name === "strace" && !canTrace()) {
      process.stdout.write("\nstrace\n  SKIPPED: strace is not there, or may not trace\n");
      continue;
    }
    const scenario = scenarios[name];
    if (scenario === undefined) throw new Error(`no ${name}; there are ${Object.keys(scenarios).join(", ")}`);
    if (!printFigures(name, await scenario())) process.exitCode = 1;
  }
}
