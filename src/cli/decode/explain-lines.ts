/** Octets [from, to) of some buffer, and what they are. `depth` indents what belongs to something above. */
export interface Label {
  readonly from: number;
  readonly to: number;
  readonly depth: number;
  readonly text: string;
}

const OCTETS_PER_LINE = 12;

/** Offset, hex and meaning in columns; long runs go on in further lines. */
export function labelLines(octets: Buffer, labels: readonly Label[]): string[] {
  return labels.flatMap(({ from, to, depth, text }) => {
    const lines: string[] = [];
    for (let at = from; at < to || at === from; at += OCTETS_PER_LINE) {
      const hex = octets.subarray(at, Math.min(at + OCTETS_PER_LINE, to)).toString("hex");
      const pairs = hex.replace(/..(?=.)/g, "$& ").padEnd(OCTETS_PER_LINE * 3 - 1);
      const meaning = at === from ? `${"  ".repeat(depth)}${text}` : "";
      lines.push(`${String(at).padStart(5)}  ${pairs}  ${meaning}`.trimEnd());
    }
    return lines;
  });
}
