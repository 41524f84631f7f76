/** A figure that a run prints, and what it must be for the run to count as passed; null: only told. */
export interface Figure {
  readonly name: string;
  readonly value: number | string;
  readonly unit?: string;
  readonly must?: { readonly be: string; readonly holds: boolean };
}

/** Prints a table; whether everything holds. */
export function printFigures(title: string, figures: readonly Figure[]): boolean {
  const rows = figures.map(({ name, value, unit = "", must }) => [
    name,
    `${typeof value === "number" ? shown(value) : value} ${unit}`.trim(),
    must?.be ?? "",
    must === undefined ? "" : must.holds ? "ok" : "FAILED",
  ]);
  const widths = [0, 1, 2, 3].map((column) => Math.max(...rows.map((row) => row[column]!.length)));
  process.stdout.write(`\n${title}\n`);
  for (const row of rows) {
    process.stdout.write(
      `  ${row
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join("  ")
        .trimEnd()}\n`,
    );
  }
  return figures.every(({ must }) => must?.holds !== false);
}

const shown = (value: number) =>
  Number.isInteger(value)
    ? value.toLocaleString("en")
    : value.toLocaleString("en", { maximumFractionDigits: 1 });

/** What must be exactly this. */
export const exactly = (name: string, value: number, wanted: number): Figure => ({
  name,
  value,
  must: { be: `= ${wanted.toLocaleString("en")}`, holds: value === wanted },
});

/** `limit` null: only told, where the machine decides. */
export const below = (name: string, value: number, limit: number | null, unit: string): Figure => ({
  ...{ name, value, unit },
  ...(limit === null
    ? {}
    : { must: { be: `< ${limit.toLocaleString("en")} ${unit}`, holds: value < limit } }),
});

export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN;
}
