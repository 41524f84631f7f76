import { Counter, type Registry } from "prom-client";

/** What a tally counts, as /metrics names it. */
interface Counted {
  readonly name: string;
  readonly help: string;
  /** Its one label; null: none, and what is counted has the empty one here. */
  readonly label: string | null;
  readonly registers: Registry[];
}

/**
 * A counter for what happens with each push: plain numbers, put into the registry when that is collected. Counting in prom-client builds a key
 * and checks labels every time.
 */
export class Tally<L extends string> {
  readonly counter: Counter<string>;
  /** Since it was last collected. */
  private readonly counts = new Map<L, { count: number }>();

  constructor({ name, help, label, registers }: Counted) {
    const { counts } = this;
    this.counter = new Counter<string>({
      ...{ name, help, labelNames: label === null ? [] : [label], registers },
      collect() {
        for (const [value, counted] of counts) {
          this.inc(label === null ? {} : { [label]: value }, counted.count);
          counted.count = 0;
        }
      },
    });
  }

  /** 0: the label is there from the start. */
  add(label: L, count = 1): void {
    const counted = this.counts.get(label);
    if (counted === undefined) this.counts.set(label, { count });
    else counted.count += count;
  }
}
