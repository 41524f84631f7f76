type Value = string | number | boolean | null | undefined;

/**
 * Columns under headings, as wide as their widest cell; numbers to the right.
 * @param rows objects whose keys are the headings, in the order of the first
 */
export function textTable(rows: readonly Readonly<Record<string, Value>>[], whenEmpty: string): string {
  const [first] = rows;
  if (!first) return whenEmpty;
  const names = Object.keys(first);
  const cells = rows.map((row) => names.map((name) => cell(row[name])));
  const widths = names.map((name, i) => Math.max(width(name), ...cells.map((line) => width(line[i]!))));
  const right = names.map((name) => rows.every((row) => typeof row[name] === "number"));
  const line = (values: readonly string[]) =>
    values
      .map((value, i) => (right[i] ? value.padStart(widths[i]!) : value.padEnd(widths[i]!)))
      .join("  ")
      .trimEnd();
  const heads = names.map((name) => name.replaceAll("_", " ").toUpperCase());
  return [line(heads), ...cells.map(line)].join("\n");
}

const width = (text: string): number => text.length;

function cell(value: Value): string {
  if (value === null || value === undefined || value === "") return "-";
  if (typeof value === "boolean") return value ? "yes" : "no";
  return String(value);
}

/** An instant as people write it, in UTC. */
export const instant = (ms: number | null): string | null =>
  ms === null || Number.isNaN(ms) ? null : `${new Date(ms).toISOString().slice(0, 19)}Z`;
