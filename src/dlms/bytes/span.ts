/**
 * A stretch of a buffer, from `from` up to but not including `to`. Where every push passes it stands in place of a view, which
 * costs ten times as much to make as this.
 */
export interface Span {
  readonly octets: Buffer;
  readonly from: number;
  readonly to: number;
}

export function spanOf(octets: Buffer): Span {
  return { octets, from: 0, to: octets.length };
}

export function hexOfSpan({ octets, from, to }: Span): string {
  return octets.toString("hex", from, to);
}
