import type { ConnectionHabit } from "../../simulator/line-job.ts";
import type { LineOptions, LineResult } from "./line.ts";
import { table } from "./report.ts";
import { AIM_RATIO, halfOfAimOf, halfRateOf, middleOf, type Round, ratioByTwoOf, ratioOf } from "./round.ts";
import type { Measured } from "./send-load.ts";

const AIM_PUSHES_PER_SECOND = 5_000;
const AIM_P99_MS = 250;
const AIM_P99_HALF_MS = 50;

const mark = (met: boolean) => (met ? "✓" : "✗");

export function reportLine(habit: ConnectionHabit, options: LineOptions, result: LineResult): void {
  const { ways } = result;
  const { full, sizes } = middleOf(result.rounds, ratioOf);
  const how = habit === "standing" ? "standing connections" : "a connection for each push";
  console.log(
    `\nSocket to committed rows: ${full.pushes} ${options.kind} pushes of ${options.meters} meters (${options.model}), ${how}\n`,
  );
  console.log(table(["", "value"], [...rates(result), ...costs(result), ...octets(result)]));
  const perPush = sizes.map((size) => [size.table, size.rows, (size.octets / full.pushes).toFixed(0)]);
  console.log(`\n${table(["table", "rows", "octets a push"], perPush)}`);
  const lines = ways.map((way) => [
    way.name,
    way.rowsPerSecond.toFixed(0),
    way.postgresCpuUsPerRow.toFixed(1),
  ]);
  console.log(
    `\n${table(["500 rows a transaction, one table", "rows a second", "PostgreSQL µs a row"], lines)}`,
  );
}

type Line = readonly [string, string];

function rates({ rounds, halves, halvesOfAim }: LineResult): Line[] {
  const middle = middleOf(rounds, ratioOf);
  const { full, copy, copyByTwo, sizes } = middle;
  const half = middleOf(halves, ({ p99Ms }) => p99Ms);
  const rate = full.pushes / full.seconds;
  const rows = sizes.reduce((sum, size) => sum + size.rows, 0);
  const ratio = ratioOf(middle);
  const all = (of: (round: Round) => number) => rounds.map((round) => of(round).toFixed(2)).join(", ");
  return [
    [
      "pushes a second",
      `${rate.toFixed(0)} (aim ${AIM_PUSHES_PER_SECOND}) ${mark(rate >= AIM_PUSHES_PER_SECOND)}`,
    ],
    ["rows a push, rows a second", `${(rows / full.pushes).toFixed(2)}, ${(rows / full.seconds).toFixed(0)}`],
    ["bare COPY of the same rows, pushes a second", (full.pushes / copy.seconds).toFixed(0)],
    [
      "ratio to bare COPY",
      `${ratio.toFixed(2)} (aim ${AIM_RATIO}; of ${all(ratioOf)}) ${mark(ratio >= AIM_RATIO)}`,
    ],
    ["  two COPYs at a time, pushes a second", (full.pushes / copyByTwo.seconds).toFixed(0)],
    ["  ratio to them", `of ${all(ratioByTwoOf)}`],
    [
      "last octet read to committed, 50 % / 99 %",
      `${full.p50Ms.toFixed(1)} / ${full.p99Ms.toFixed(1)} ms (aim ${AIM_P99_MS}; of ${rounds.map((round) => round.full.p99Ms.toFixed(0)).join(", ")}) ${mark(full.p99Ms < AIM_P99_MS)}`,
    ],
    withoutFirstSecond(full),
    ...atHalf("half of that", halves, halfRateOf(middle)),
    ...atHalf(`half of ${AIM_RATIO} of the COPY`, halvesOfAim, halfOfAimOf(middle)),
    ["last octet read to safe in the log, 99 %", `${full.durableP99Ms.toFixed(1)} ms`],
    [
      "pushes a batch",
      `${(full.pushes / full.batches).toFixed(0)}, ${(half.pushes / half.batches).toFixed(0)} at half the rate`,
    ],
    ["a batch from its first statement to COMMIT", `${full.batchMs.toFixed(1)} ms`],
    ["connections of meters, of batches", `${full.connections}, ${full.databaseConnections}`],
    [
      "processors taken by others",
      `${others(rounds.map((round) => round.full))} %, ${others(halves)} and ${others(halvesOfAim)} at the halves`,
    ],
  ];
}

const others = (loads: readonly Measured[]) =>
  loads.map(({ othersShare }) => (othersShare * 100).toFixed(0)).join("/");

/** Of the pace that was asked for. Less: the daemon didn't keep up, and the rate is its own. */
const KEPT_UP = 0.95;

/** `asked`: pushes a second that meters send. */
function atHalf(what: string, loads: readonly Measured[], asked: number): Line[] {
  const load = middleOf(loads, ({ p99Ms }) => p99Ms);
  const rate = load.pushes / load.seconds;
  const keptUp = rate >= KEPT_UP * asked;
  const lag = keptUp ? "" : ` (${asked.toFixed(0)} were sent)`;
  const all = loads.map(({ p99Ms }) => p99Ms.toFixed(0)).join(", ");
  return [
    [
      `the same at ${rate.toFixed(0)} pushes a second${lag}, ${what}`,
      `${load.p50Ms.toFixed(1)} / ${load.p99Ms.toFixed(1)} ms (aim ${AIM_P99_HALF_MS}; of ${all}) ${mark(keptUp && load.p99Ms < AIM_P99_HALF_MS)}`,
    ],
    withoutFirstSecond(load),
  ];
}

function withoutFirstSecond({ laterP50Ms, laterP99Ms }: Measured): Line {
  return ["  of them without the first second", `${laterP50Ms.toFixed(1)} / ${laterP99Ms.toFixed(1)} ms`];
}

function costs({ rounds, bareAccept }: LineResult): Line[] {
  const { full, copy, copyByTwo } = middleOf(rounds, ratioOf);
  const perPush = (cpuSeconds: number) => `${((cpuSeconds / full.pushes) * 1e6).toFixed(0)} µs`;
  return [
    ["CPU of Node a push", perPush(full.nodeCpuSeconds)],
    ...(bareAccept === null ? [] : [["  of it accept, read and close alone", perPush(bareAccept)] as const]),
    ["CPU of PostgreSQL a push", perPush(full.postgresCpuSeconds)],
    [
      "  the same of the bare COPY, of two at a time",
      `${perPush(copy.postgresCpuSeconds)}, ${perPush(copyByTwo.postgresCpuSeconds)}`,
    ],
    ["CPU of the generator a push", perPush(full.generatorCpuSeconds)],
  ];
}

function octets({ rounds }: LineResult): Line[] {
  const { full, sizes, lineOctets, compressedOctets } = middleOf(rounds, ratioOf);
  const onDisk = sizes.reduce((sum, size) => sum + size.octets, 0);
  const perPush = (count: number) => (count / full.pushes).toFixed(0);
  return [
    ["octets a push on the line", perPush(lineOctets)],
    ["octets a push on disk, indexes included", perPush(onDisk)],
    [
      "  when all chunks are compressed",
      compressedOctets === null ? "needs TimescaleDB" : perPush(compressedOctets),
    ],
  ];
}
