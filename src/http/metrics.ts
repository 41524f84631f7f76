import { monitorEventLoopDelay } from "node:perf_hooks";
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import type { IngestObserver, PushVerdict } from "../ingest/observer.ts";
import type { Limits } from "../limits.ts";
import { POLL_RESULTS } from "../polling/retry.ts";
import { REFUSAL_REASONS } from "../refusal.ts";
import { snake } from "../settings.ts";
import { Tally } from "./tally.ts";
import { TimescaleMetrics } from "./timescale-metrics.ts";

const PUSH_VERDICTS: readonly PushVerdict[] = [
  "applied",
  "duplicate",
  "retransmission",
  "quarantined",
  "refused",
];

const FRAMINGS = ["hdlc", "wrapper", "apdu"] as const;
const SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10];
const DECODE_SECONDS = [0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.01, 0.05];
const POLL_SECONDS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600];
const LAG_SECONDS = [1, 5, 10, 20, 30, 60, 300, 900, 3_600, 21_600, 86_400];

/** Everything that /metrics offers. Base units; no label that grows with the number of meters. */
export class Metrics {
  readonly registry = new Registry();
  readonly connectionsOpen: Gauge;
  readonly frames: Tally<string>;
  readonly pushes: Tally<PushVerdict>;
  readonly refused: Counter<"reason">;
  readonly discarded: Counter;
  readonly acknowledgements: Tally<"">;
  readonly rows: Tally<string>;
  readonly durable: Histogram;
  readonly decode: Histogram;
  readonly databaseWrite: Histogram;
  readonly databaseUp: Gauge;
  readonly polls: Counter<"result">;
  readonly pollTime: Histogram;
  readonly scheduleLag: Histogram;
  readonly gapsOpen: Gauge;
  readonly spoolSync: Histogram;
  readonly timescale = new TimescaleMetrics(this.registry);
  readonly #limits: Gauge<"name">;
  readonly #observer = this.#reporting();
  /** What `hes_snapshot_meters` says. */
  snapshotMeters: () => number = () => 0;
  /** What `hes_spool_bytes` and `hes_spool_records` say. */
  durableLog: () => { readonly bytes: number; readonly records: number } = () => ({ bytes: 0, records: 0 });

  constructor() {
    const registers = [this.registry];
    const counter = <L extends string>(name: string, help: string, ...labelNames: L[]) =>
      new Counter<L>({ name, help, labelNames, registers });
    const tally = <L extends string>(name: string, help: string, label: string | null) =>
      new Tally<L>({ name, help, label, registers });
    const gauge = (name: string, help: string) => new Gauge({ name, help, registers });
    const seconds = (name: string, help: string, buckets = SECONDS) =>
      new Histogram({ name, help, buckets, registers });

    this.connectionsOpen = gauge("hes_connections_open", "Connections of meters that are open now.");
    this.frames = tally("hes_frames_received_total", "Complete frames received, by framing.", "framing");
    this.pushes = tally("hes_pushes_total", "Pushes by what became of them.", "verdict");
    this.refused = counter(
      "hes_refused_total",
      "Received APDUs and frames that were refused, by reason.",
      "reason",
    );
    this.discarded = counter(
      "hes_octets_discarded_total",
      "Octets that belonged to no frame and were skipped.",
    );
    this.acknowledgements = tally(
      "hes_acks_sent_total",
      "Acknowledgements sent to meters, each after the push was safe in the durable log or by COMMIT.",
      null,
    );
    this.rows = tally("hes_rows_stored_total", "Rows stored or filled in, by table.", "table");
    this.durable = seconds(
      "hes_durable_seconds",
      "From the last octet read until the push is safe in the durable log, or by COMMIT.",
    );
    this.decode = seconds("hes_push_decode_seconds", "From frame to rows, without waiting.", DECODE_SECONDS);
    this.databaseWrite = seconds("hes_db_write_seconds", "One batch, from BEGIN to COMMIT.");
    this.spoolSync = seconds("hes_spool_sync_seconds", "One group of records: written and synced.");
    this.#durableLogSize();
    this.#limits = new Gauge({
      name: "hes_limit",
      help: "Limits as they are configured, limits.NAME; what exceeds one counts as hes_refused_total with reason limit, or waits.",
      labelNames: ["name"],
      registers,
    });
    this.databaseUp = gauge("hes_database_up", "1 while PostgreSQL answers and can be written, else 0.");
    this.polls = counter("hes_polls_total", "Attempts to poll a meter, by what they came to.", "result");
    this.pollTime = seconds("hes_poll_seconds", "One attempt to poll a meter, to the COMMIT.", POLL_SECONDS);
    this.scheduleLag = seconds(
      "hes_schedule_lag_seconds",
      "From when a run of a schedule was due to when it was fired.",
      LAG_SECONDS,
    );
    this.gapsOpen = gauge("hes_gaps_open", "Stretches of missing captures that may still be filled.");

    for (const result of POLL_RESULTS) this.polls.inc({ result }, 0);
    for (const verdict of PUSH_VERDICTS) this.pushes.add(verdict, 0);
    for (const reason of REFUSAL_REASONS) this.refused.inc({ reason }, 0);
    for (const framing of FRAMINGS) this.frames.add(framing, 0);
    collectDefaultMetrics({ register: this.registry });
    this.#eventLoopLag();
  }

  /** What the ingest reports to. One object, so that others can listen in. */
  observer(): IngestObserver {
    return this.#observer;
  }

  #reporting(): IngestObserver {
    return {
      connectionOpened: () => this.connectionsOpen.inc(),
      connectionClosed: () => this.connectionsOpen.dec(),
      frameReceived: (framing) => this.frames.add(framing),
      pushDone: (verdict) => this.pushes.add(verdict),
      refused: (reason) => this.refused.inc({ reason }),
      discarded: (octets) => this.discarded.inc(octets),
      acknowledged: () => this.acknowledgements.add(""),
      durableSeconds: (seconds) => this.durable.observe(seconds),
      decodeSeconds: (seconds) => this.decode.observe(seconds),
      rowsStored: (table, count) => this.rows.add(table, count),
      dbWriteSeconds: (seconds) => this.databaseWrite.observe(seconds),
    };
  }

  limitsAre(limits: Limits): void {
    for (const [name, value] of Object.entries(limits)) this.#limits.set({ name: snake(name) }, value);
  }

  #durableLogSize(): void {
    const registers = [this.registry];
    const known = () => this.snapshotMeters();
    new Gauge({
      name: "hes_snapshot_meters",
      help: "Meters in the snapshot: their pushes are accepted while the database is away, after a restart too.",
      registers,
      collect() {
        this.set(known());
      },
    });
    const size = () => this.durableLog();
    new Gauge({
      ...{ name: "hes_spool_bytes", help: "Octets of the durable log.", registers },
      collect() {
        this.set(size().bytes);
      },
    });
    new Gauge({
      ...{
        name: "hes_spool_records",
        help: "Pushes in the durable log that are not in the database.",
        registers,
      },
      collect() {
        this.set(size().records);
      },
    });
  }

  /** The longest delay since the last scrape, which an average would hide. */
  #eventLoopLag(): void {
    const monitor = monitorEventLoopDelay({ resolution: 10 });
    monitor.enable();
    new Gauge({
      name: "hes_event_loop_lag_seconds",
      help: "Longest delay of the event loop since the last scrape.",
      registers: [this.registry],
      collect() {
        const nanoseconds = Number.isFinite(monitor.max) ? monitor.max : 0;
        this.set(nanoseconds / 1e9);
        monitor.reset();
      },
    });
  }

  /** docs/reference/metrics.md. A test compares the file with this. */
  async referencePage(): Promise<string> {
    const lines = [
      "# Metrics",
      "",
      "Generated from `src/http/metrics.ts`: run `npm test -- -u test/http/metrics.test.ts` after a change there.",
      "",
      "`GET /metrics` on `http.listen`, in the text format of Prometheus. Names with `hes_` are ours, the others are those of every",
      "Node.js process. No metric has a meter as a label.",
      "",
      "| metric | type | labels | |",
      "|---|---|---|---|",
    ];
    for (const { name, type, labels, help } of await this.#described()) {
      const shownLabels = labels.map((label) => `\`${label}\``).join(" ");
      lines.push(`| \`${name}\` | ${type} | ${shownLabels} | ${help} |`);
    }
    lines.push("");
    return lines.join("\n");
  }

  async #described(): Promise<{ name: string; type: string; labels: string[]; help: string }[]> {
    const described = this.registry.getMetricsAsArray().map((metric) => {
      const { name, help, labelNames } = metric as unknown as Described;
      const type = metric.constructor.name.toLowerCase();
      return { name, type, labels: [...(labelNames ?? [])], help: help.replaceAll("|", "\\|") };
    });
    const ours = (name: string) => (name.startsWith("hes_") ? 0 : 1);
    return described.sort((a, b) => ours(a.name) - ours(b.name) || (a.name < b.name ? -1 : 1));
  }
}

interface Described {
  readonly name: string;
  readonly help: string;
  readonly labelNames?: readonly string[];
}
