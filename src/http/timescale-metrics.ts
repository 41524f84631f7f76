import { Gauge, type Registry } from "prom-client";
import type { TimescaleMeasures } from "../storage/measure-timescale.ts";

/** What TimescaleDB says of itself. Every daemon of a database says the same. Without TimescaleDB there are no series. */
export class TimescaleMetrics {
  readonly #chunks: Gauge<"table" | "form">;
  readonly #octets: Gauge<"table" | "form">;
  readonly #policies: Gauge<"policy">;
  readonly #failed: Gauge<"policy">;

  constructor(registry: Registry) {
    const registers = [registry];
    const gauge = <L extends string>(name: string, help: string, ...labelNames: L[]) =>
      new Gauge<L>({ name, help, labelNames, registers });
    this.#chunks = gauge(
      "hes_timescale_chunks",
      "Chunks of hypertables, by table and form: rows or columnstore.",
      ...(["table", "form"] as const),
    );
    this.#octets = gauge(
      "hes_timescale_columnstore_bytes",
      "Octets of the chunks in the columnstore, as they were in rows and as they are in the columnstore, indexes included.",
      ...(["table", "form"] as const),
    );
    this.#policies = gauge(
      "hes_timescale_policies",
      "Policies of TimescaleDB that are switched on: columnstore, retention, aggregate.",
      "policy",
    );
    this.#failed = gauge(
      "hes_timescale_failed_jobs",
      "Policies whose last run failed; `hes doctor` says why.",
      "policy",
    );
  }

  /** Takes the place of what was said before. */
  set(measures: TimescaleMeasures | null): void {
    for (const gauge of [this.#chunks, this.#octets, this.#policies, this.#failed]) gauge.reset();
    for (const each of measures?.hypertables ?? []) {
      const { table } = each;
      this.#chunks.set({ table, form: "rows" }, each.chunksInRows);
      this.#chunks.set({ table, form: "columnstore" }, each.chunksInColumnstore);
      this.#octets.set({ table, form: "rows" }, each.octetsBefore);
      this.#octets.set({ table, form: "columnstore" }, each.octetsInColumnstore);
    }
    for (const { policy, jobs, failed } of measures?.policies ?? []) {
      this.#policies.set({ policy }, jobs);
      this.#failed.set({ policy }, failed);
    }
  }
}
