import { PUSH_KINDS, type PushKind } from "./model.ts";

/** What one meter has sent of one kind. Sums are over rows: they tell a lost row from one that came twice in its place. */
export interface Sent {
  readonly pushes: number;
  readonly rows: number;
  /** Of the rows' times, seconds since 1970. */
  readonly secondsSum: number;
  /** Of one value of each row in SI units, the energy where the rows have one: see `checkColumn` in model.ts. */
  readonly valueSum: number;
  /** Times of its first and last row, epoch ms; null where it has sent none. */
  readonly span: Span | null;
}

export interface Span {
  readonly firstMs: number;
  readonly lastMs: number;
}

/** What a push adds to it. */
export interface Entry {
  readonly kind: PushKind;
  /** Times of its rows, epoch ms. */
  readonly times: readonly number[];
  readonly valueSum: number;
}

const FIELDS = 6;

/** What the meters of a fleet have sent, meter by meter and kind by kind, in a few octets each. */
export class Ledger {
  readonly #cells: Float64Array;
  readonly #meters: number;
  #firstMs = Number.POSITIVE_INFINITY;
  #lastMs = Number.NEGATIVE_INFINITY;

  constructor(meters: number) {
    this.#meters = meters;
    this.#cells = new Float64Array(meters * PUSH_KINDS.length * FIELDS);
  }

  /** Times of the first and the last row of all; null where nothing was sent. */
  get span(): Span | null {
    return this.#firstMs > this.#lastMs ? null : { firstMs: this.#firstMs, lastMs: this.#lastMs };
  }

  add(index: number, { kind, times, valueSum }: Entry): void {
    const at = this.#place(index, kind);
    const cells = this.#cells;
    cells[at]!++;
    cells[at + 3]! += valueSum;
    for (const time of times) {
      const isFirst = cells[at + 1]!++ === 0;
      cells[at + 2]! += time / 1_000;
      if (isFirst || time < cells[at + 4]!) cells[at + 4] = time;
      if (isFirst || time > cells[at + 5]!) cells[at + 5] = time;
      if (time < this.#firstMs) this.#firstMs = time;
      if (time > this.#lastMs) this.#lastMs = time;
    }
  }

  of(index: number, kind: PushKind): Sent {
    const at = this.#place(index, kind);
    const [pushes = 0, rows = 0, secondsSum = 0, valueSum = 0, firstMs = 0, lastMs = 0] =
      this.#cells.subarray(at, at + FIELDS);
    return { pushes, rows, secondsSum, valueSum, span: rows === 0 ? null : { firstMs, lastMs } };
  }

  /** Over all meters. */
  total(field: "pushes" | "rows"): Record<PushKind, number> {
    const offset = field === "pushes" ? 0 : 1;
    const totals = Object.fromEntries(PUSH_KINDS.map((kind) => [kind, 0])) as Record<PushKind, number>;
    for (let index = 0; index < this.#meters; index++) {
      for (const kind of PUSH_KINDS) totals[kind] += this.#cells[this.#place(index, kind) + offset]!;
    }
    return totals;
  }

  #place(index: number, kind: PushKind): number {
    return (index * PUSH_KINDS.length + PUSH_KINDS.indexOf(kind)) * FIELDS;
  }
}
