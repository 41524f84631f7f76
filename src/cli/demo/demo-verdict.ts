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
  readonly elapsedSeconds: number;
}

/** What is wrong with the result; empty where everything that was sent is stored, once. */
export function shortcomings({ sent, overview, expectedRows }: DemoResult): string[] {
  const problems: string[] = [];
  const pushes = Object.values(sent).reduce((sum, n) => sum + n, 0);
  const applied = overview.verdicts["applied"] ?? 0;
  if (pushes === 0) problems.push("no push was sent");
  if (applied !== pushes) problems.push(`${pushes} pushes were sent and ${applied} applied`);
  for (const table of MUST_HOLD_ROWS) {
    if (overview.rows[table] === 0) problems.push(`${table} is empty`);
  }
  for (const table of ["push_history", "raw_frames"] as const) {
    if (overview.rows[table] !== pushes) {
      problems.push(`${table} has ${overview.rows[table]} rows for ${pushes} pushes`);
    }
  }
  for (const [table, expected] of Object.entries(expectedRows)) {
    const stored = overview.rows[table as keyof typeof overview.rows];
    if (stored !== expected) problems.push(`${table} has ${stored} rows; the meters captured ${expected}`);
  }
  if (overview.conflicts > 0) problems.push(`${overview.conflicts} rows came twice with different values`);
  if (overview.quarantined > 0) problems.push(`${overview.quarantined} frames are in quarantine`);
  return problems;
}

export function summary(result: DemoResult, problems: readonly string[]): string {
  const kinds = Object.entries(result.sent).map(([kind, n]) => `${kind} ${n}`);
  const verdicts = Object.entries(result.overview.verdicts).map(([verdict, n]) => `${verdict} ${n}`);
  const rows = OVERVIEW_TABLES.map(
    (table) =>
      `  ${table.padEnd(22)}${String(result.overview.rows[table]).padStart(8)}  ${WHAT_IT_HOLDS[table]}`,
  );
  const verdict =
    problems.length === 0
      ? ["Everything that was sent is stored, once."]
      : ["This is not as it should be:", ...problems.map((problem) => `  ${problem}`)];
  return [
    `dlms-hes demo: ${result.elapsedSeconds.toFixed(0)} s`,
    `  sent      ${kinds.join(", ")}`,
    `  received  ${verdicts.join(", ")}`,
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
    recent: now.recent,
    quarantined: now.quarantined - before.quarantined,
    conflicts: now.conflicts - before.conflicts,
  };
}
