import type { Database } from "../../src/storage/database.ts";
import { type ExampleQuery, exampleQueries } from "../../src/storage/example-queries.ts";
import { emptyTables } from "./bare-copy.ts";
import { fill } from "./fill.ts";
import { Generator } from "./generator.ts";
import { type LineOptions, Loads, WARM_UP_PUSHES_IN_ALL, withDaemon } from "./line.ts";
import { table } from "./report.ts";

/** Fewest rows that count as tables in use. */
const FEW_ROWS = 100_000;
const AIM_RATIO = 0.9;
/** Pushes of a meter behind a checkpoint that are not measured. */
const FIRST_PUSHES = 10;
/** A query is timed so often; the median counts. */
const TIMES = 3;
/** Loads of a stage. A shared machine's pace changes by half within a minute, so the one in the middle counts. */
const ROUNDS = 3;
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
/** One meter in so many is of the group that the example query over a group asks for. */
const METERS_A_GROUP_MEMBER = 10;

interface Pace {
  /** Pushes a second. */
  readonly rate: number;
  readonly nodeUs: number;
  readonly postgresUs: number;
}

interface Stage {
  readonly rows: number;
  readonly fillSeconds: number;
  readonly paces: readonly Pace[];
  /** Milliseconds and rows of the answer, by query. */
  readonly queries: readonly { readonly ms: number; readonly rows: number }[];
}

/**
 * The rate on standing connections, and the example queries, with few rows present and with many. The stage with few rows is measured before the
 * others and behind them, because the machine's own pace may change in the minutes in between.
 */
export async function benchGrowth(options: LineOptions, stages: readonly number[]): Promise<void> {
  const measured: Stage[] = [];
  const queries = await exampleQueries();
  await withDaemon(options, async (running) => {
    const { database, config } = running;
    const generator = new Generator();
    try {
      const all = [FEW_ROWS, ...stages, FEW_ROWS];
      const inAll = WARM_UP_PUSHES_IN_ALL + all.length * (FIRST_PUSHES + ROUNDS * options.pushesPerMeter);
      const loads = new Loads({ ...running, options, habit: "standing" }, generator, inAll);
      await loads.warmUp();
      await makeGroup(database);
      // The last row that is filled in comes right before the first that is pushed, a minute a push: today's partition is in use already.
      const until = Date.now() - inAll * MINUTE_MS - HOUR_MS;
      for (const rows of all) {
        await emptyTables(database);
        const began = performance.now();
        await fill(database, { rows, until, timeZone: config.time.zone });
        const fillSeconds = (performance.now() - began) / 1_000;
        const paces = await measurePaces(loads, options);
        measured.push({ rows, fillSeconds, paces, queries: await timeAll(database, queries) });
        console.log(`${rows} rows: ${paces.map(({ rate }) => rate.toFixed(0)).join(", ")} pushes a second`);
      }
    } finally {
      generator.end();
    }
  });
  report(measured, queries);
}

/** Of each round, the slowest first. */
async function measurePaces(loads: Loads, options: LineOptions): Promise<Pace[]> {
  // The first push of a meter behind the checkpoint writes whole pages into the log, and reads them from the disk. These meters push
  // many times between two checkpoints.
  await loads.send(FIRST_PUSHES, null);
  const paces: Pace[] = [];
  while (paces.length < ROUNDS) {
    const { pushes, seconds, ...cpu } = (await loads.send(options.pushesPerMeter, null)).measured;
    paces.push({
      rate: pushes / seconds,
      nodeUs: (cpu.nodeCpuSeconds / pushes) * 1e6,
      postgresUs: (cpu.postgresCpuSeconds / pushes) * 1e6,
    });
  }
  return paces.sort((a, b) => a.rate - b.rate);
}

const middleOf = (paces: readonly Pace[]): Pace => paces[Math.floor(paces.length / 2)]!;

function report(measured: readonly Stage[], queries: readonly ExampleQuery[]): void {
  const head = ["rows present", "pushes a second", "Node µs a push", "PostgreSQL µs a push", "filled in s"];
  const lines = measured.map(({ rows, paces, fillSeconds }) => {
    const { rate, nodeUs, postgresUs } = middleOf(paces);
    return [rows, rate, nodeUs, postgresUs, fillSeconds].map((each) => each.toFixed(0));
  });
  console.log(`\n${table(head, lines)}`);
  const answers = queries.map(({ file }, index) => [
    file.replace(".sql", ""),
    ...measured.map(({ queries: of }) => `${of[index]!.ms.toFixed(0)} ms (${of[index]!.rows})`),
  ]);
  const columns = measured.map(({ rows }) => `with ${rows} rows`);
  console.log(`\n${table(["example query, median (rows of the answer)", ...columns], answers)}`);
  const few = (middleOf(measured[0]!.paces).rate + middleOf(measured.at(-1)!.paces).rate) / 2;
  for (const { rows, paces } of measured.slice(1, -1)) {
    const ratio = middleOf(paces).rate / few;
    console.log(
      `\nrate with ${rows} ÷ with ${FEW_ROWS}: ${ratio.toFixed(2)} (aim ${AIM_RATIO}) ${ratio >= AIM_RATIO ? "✓" : "✗"}`,
    );
  }
}

/** The example queries name a meter and a group of the sample data; here they ask for such of the bench. */
async function timeAll(database: Database, queries: readonly ExampleQuery[]): Promise<Stage["queries"]> {
  const [first] = await database.query("SELECT min(meter_number) AS number FROM public.meters");
  const timed: { ms: number; rows: number }[] = [];
  for (const { sql } of queries) {
    const text = sql.replaceAll("SAMPLE-1", first!["number"]);
    const times: number[] = [];
    let rows = 0;
    for (let time = 0; time < TIMES; time++) {
      const began = performance.now();
      rows = (await database.query(text)).length;
      times.push(performance.now() - began);
    }
    times.sort((a, b) => a - b);
    timed.push({ ms: times[Math.floor(TIMES / 2)]!, rows });
  }
  return timed;
}

async function makeGroup(database: Database): Promise<void> {
  await database.query(
    `UPDATE public.meters m SET meter_group = 'north'
       FROM (SELECT id, row_number() OVER (ORDER BY meter_number) AS n FROM public.meters) x
      WHERE x.id = m.id AND x.n % $1 = 0`,
    [METERS_A_GROUP_MEMBER],
  );
}
