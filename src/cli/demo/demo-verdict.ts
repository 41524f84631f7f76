import { OVERVIEW_TABLES, type Overview } from "../../storage/overview.ts";
import { WHAT_IT_HOLDS } from "./demo-view.ts";

/** Tables in which rows must stand at the end of a demonstration that went well. */
const MUST_HOLD_ROWS = OVERVIEW_TABLES;

export interface DemoResult {
  /** Pushes that the simulated meters sent, by kind. */
  readonly sent: Readonly<Record<string, number>>;
  readonly overview: Overview;
  /** Rows that whole captures must have left, by table: as many as the meters captured, each once. */
  readonly expectedRows: Readonly<Record<string, number>>;
  /** Block load captures that meters pushed, and those that they made and kept back: holes that only polls fill. */
  readonly blocks: { readonly pushed: number; readonly keptBack: number };
  readonly elapsedSeconds: number;
}

/** What is wrong with the result; empty where everything that was sent is stored, once. */
export function shortcomings({ sent, overview, expectedRows, blocks }: DemoResult): string[] {
  const problems: string[] = [];
  const pushes = Object.values(sent).reduce((sum, n) => sum + n, 0);
  // A poll may have been faster than the push of the same captures.
  const applied = (overview.verdicts["applied"] ?? 0) + (overview.verdicts["duplicate"] ?? 0);
  if (pushes === 0) problems.push("no push was sent");
  if (applied !== pushes) problems.push(`${pushes} pushes were sent and ${applied} applied`);
  for (const table of MUST_HOLD_ROWS) {
    if (overview.rows[table] === 0) problems.push(`${table} is empty`);
  }
  if (overview.rows.raw_frames !== pushes) {
    problems.push(`raw_frames has ${overview.rows.raw_frames} rows for ${pushes} pushes`);
  }
  problems.push(...holesLeft(overview, blocks));
  for (const [table, expected] of Object.entries(expectedRows)) {
    const stored = overview.rows[table as keyof typeof overview.rows];
    if (stored !== expected) problems.push(`${table} has ${stored} rows; the meters captured ${expected}`);
  }
  if (overview.conflicts > 0) problems.push(`${overview.conflicts} rows came twice with different values`);
  if (overview.quarantined > 0) problems.push(`${overview.quarantined} frames are in quarantine`);
  return problems;
}

/** Each pushed block is there once, and what was kept back was found missing and read. */
function holesLeft({ rows, gaps, polls }: Overview, { pushed, keptBack }: DemoResult["blocks"]): string[] {
  const problems: string[] = [];
  const stored = rows.block_load_profile;
  if (stored < pushed || stored > pushed + keptBack) {
    problems.push(`block_load_profile has ${stored} rows; ${pushed} were pushed and ${keptBack} kept back`);
  }
  if ((polls["applied"] ?? 0) === 0) problems.push("no poll was made");
  if (keptBack > 0 && (gaps["filled"] ?? 0) === 0) problems.push("no hole was filled");
  return problems;
}

/** `applied 3, duplicate 1` */
const named = (numbers: Readonly<Record<string, number>>): string =>
  Object.entries(numbers)
    .filter(([, n]) => n > 0)
    .map(([name, n]) => `${name} ${n}`)
    .join(", ") || "nothing";

export function summary(result: DemoResult, problems: readonly string[]): string {
  const { overview, blocks } = result;
  const rows = OVERVIEW_TABLES.map(
    (table) =>
      `  ${table.padEnd(22)}${String(result.overview.rows[table]).padStart(8)}  ${WHAT_IT_HOLDS[table]}`,
  );
  const verdict =
    problems.length === 0
      ? ["Everything that was sent is stored, once, and holes were filled."]
      : ["This is not as it should be:", ...problems.map((problem) => `  ${problem}`)];
  return [
    `dlms-hes demo: ${result.elapsedSeconds.toFixed(0)} s`,
    `  sent      ${named(result.sent)}`,
    `  received  ${named(overview.verdicts)}`,
    `  polled    ${named(overview.polls)}`,
    `  holes     ${blocks.keptBack} block captures kept back on purpose, ${overview.rows.block_load_profile - blocks.pushed} of them read; gaps: ${named(overview.gaps)}`,
    ...rows,
    ...verdict,
  ].join("\n");
}

/** What came to be since `before`: an earlier demonstration on the same database isn't counted. */
export function grownBy(now: Overview, before: Overview): Overview {
  const difference = (a: Readonly<Record<string, number>>, b: Readonly<Record<string, number>>) =>
    Object.fromEntries(Object.entries(a).map(([name, n]) => [name, n - (b[name] ?? 0)]));
  return {
    rows: difference(now.rows, before.rows) as Overview["rows"],
    verdicts: difference(now.verdicts, before.verdicts),
    polls: difference(now.polls, before.polls),
    polledBlocks: now.polledBlocks - before.polledBlocks,
    gaps: difference(now.gaps, before.gaps),
    recent: now.recent,
    quarantined: now.quarantined - before.quarantined,
    conflicts: now.conflicts - before.conflicts,
  };
}
