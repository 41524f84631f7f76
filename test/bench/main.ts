import { type ParseArgsConfig, parseArgs } from "node:util";
import { setEngineFlags } from "../../src/engine-flags.ts";
import { DEFAULT_PARTITION_DAYS } from "../../src/partition-settings.ts";
import { benchDecoding } from "./decode.ts";
import { benchFleetMemory } from "./fleet-memory.ts";
import { benchGrowth } from "./growth.ts";
import { benchLine, type LineOptions } from "./line.ts";
import { benchPolls } from "./polls.ts";

const USAGE = `npm run bench -- [decode] [line] [growth] [fleet] [polls] [options]; decode and line where none is named

  decode      µs from octets to values, beside createDecipheriv
  line        pushes a second from socket to COMMIT, beside a bare COPY of the same rows
  growth      the rate and the example queries with many rows present; takes minutes
  fleet       memory of a simulated meter
  polls       polls a second

  --meters N          1000
  --pushes N          of each meter, 40
  --kind KIND         instant or block
  --habit HABIT       standing or per-push; both where none is named
  --model MODEL       D1, D2 or D3
  --rows N            growth: rows present besides 100,000; may be repeated; 1000000 and 10000000
  --partition-days N   width of partitions, database.partition_days; 1
  --database URL      on this machine, its tables are emptied; else an embedded PostgreSQL

docs/operating/benchmarks.md says what the figures mean.`;

const OPTIONS = {
  help: { type: "boolean", short: "h", default: false },
  meters: { type: "string", default: "1000" },
  pushes: { type: "string", default: "40" },
  kind: { type: "string", default: "instant" },
  habit: { type: "string", multiple: true, default: ["standing", "per-push"] },
  model: { type: "string", default: "D1" },
  database: { type: "string", default: "" },
  "partition-days": { type: "string", default: String(DEFAULT_PARTITION_DAYS) },
  rows: { type: "string", multiple: true, default: ["1000000", "10000000"] },
} satisfies NonNullable<ParseArgsConfig["options"]>;

class UsageError extends Error {}

function oneOf<T extends string>(option: string, value: string, known: readonly T[]): T {
  const found = known.find((one) => one === value);
  if (found === undefined) throw new UsageError(`${option} is ${known.join(" or ")}, not ${value}`);
  return found;
}

function count(option: string, value: string): number {
  if (!/^[1-9]\d{0,9}$/.test(value))
    throw new UsageError(`${option} is a whole number above 0, not ${value}`);
  return Number(value);
}

async function main(): Promise<void> {
  const { values, positionals } = parse();
  if (values.help) {
    console.log(USAGE);
    return;
  }
  const options: LineOptions = {
    meters: count("--meters", values.meters),
    pushesPerMeter: count("--pushes", values.pushes),
    habits: values.habit.map((habit) => oneOf("--habit", habit, ["standing", "per-push"])),
    kind: oneOf("--kind", values.kind, ["instant", "block"]),
    model: oneOf("--model", values.model, ["D1", "D2", "D3"]),
    databaseUrl: values.database,
    partitionDays: count("--partition-days", values["partition-days"]),
  };
  const rows = values.rows.map((number) => count("--rows", number));
  const benches = {
    decode: () => benchDecoding(),
    line: () => benchLine(options),
    growth: () => benchGrowth(options, rows),
    fleet: () => benchFleetMemory(options.meters),
    polls: () => benchPolls(options.meters),
  };
  const known = Object.keys(benches) as (keyof typeof benches)[];
  const parts = (positionals.length > 0 ? positionals : ["decode", "line"]).map((part) =>
    oneOf("a bench", part, known),
  );
  // As the daemon does.
  setEngineFlags();
  for (const part of known) if (parts.includes(part)) await benches[part]();
}

function parse() {
  try {
    return parseArgs({ allowPositionals: true, options: OPTIONS });
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

try {
  await main();
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  console.error(`${error.message}\n\n${USAGE}`);
  process.exitCode = 2;
}
