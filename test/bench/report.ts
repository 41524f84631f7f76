/** A table for people: columns padded, numbers to the right. */
export function table(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const text = [head, ...rows].map((row) => row.map(String));
  const widths = head.map((_, column) => Math.max(...text.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]) =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)))
      .join("  ");
  const rule = widths.map((width) => "─".repeat(width)).join("  ");
  return [line(text[0]!), rule, ...text.slice(1).map(line)].join("\n");
}

/** `0.35 (at most 0.50) ✓` */
export function against(ratio: number, atMost: number): string {
  return `${ratio.toFixed(2)} (at most ${atMost.toFixed(2)}) ${ratio <= atMost ? "✓" : "✗"}`;
}
