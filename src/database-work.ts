import type { ConfiguredLog } from "./configured-log.ts";
import type { DaemonDatabase } from "./daemon-database.ts";
import type { Metrics } from "./http/metrics.ts";
import type { Journal } from "./journal.ts";
import type { Log } from "./log.ts";
import type { Pipeline } from "./pipeline.ts";
import type { MeterRoads } from "./polling/meter-association.ts";
import { openRoads } from "./polling/open-roads.ts";
import { openPolls, type Polls } from "./polls.ts";
import type { Duty } from "./schedule/heartbeat.ts";
import type { Config } from "./settings.ts";
import type { Database } from "./storage/database.ts";

/** Connections for schedules, polls and gaps; their rows go through those of the pushes. */
const POLL_CONNECTIONS = 4;

/** What a daemon does only while the database is there: polls, and the snapshot for when it isn't. */
export class DatabaseWork {
  private readonly config: Config;
  private readonly base: DaemonDatabase;
  private readonly pipeline: Pipeline;
  private readonly spooled: ConfiguredLog;
  private readonly report: { readonly metrics: Metrics; readonly journal: Journal; readonly log: Log };
  private readonly database: Database;
  private polls: Polls | null = null;

  constructor(
    config: Config,
    base: DaemonDatabase,
    pipeline: Pipeline,
    spooled: ConfiguredLog,
    report: DatabaseWork["report"],
  ) {
    this.config = config;
    this.base = base;
    this.pipeline = pipeline;
    this.spooled = spooled;
    this.report = report;
    this.database = base.open(POLL_CONNECTIONS, "keys");
  }

  /** Once the database is there; again after an attempt that failed. */
  async begin(now: () => number): Promise<readonly Duty[]> {
    const { config, pipeline, report, database } = this;
    this.polls ??= await openPolls(config, database, pipeline, report, {
      roads: roadsOf(config, database, pipeline, report.log),
      connections: pipeline.ingest,
      now,
    });
    const { snapshot, counterLog } = this.spooled;
    snapshot
      .write(this.base.housekeeping, counterLog, Date.now())
      .catch((error: unknown) => report.log.warn({ err: error }, "the snapshot can't be written yet"));
    return this.polls.duties;
  }

  /** No more polls, and nothing more is lent; what is under way is broken off and given back. Ticks must have ended. */
  async endPolls(): Promise<void> {
    const { polls } = this;
    this.polls = null;
    await polls?.close();
  }

  async close(): Promise<void> {
    await this.endPolls();
    await this.spooled.snapshot.settled();
    await this.database.close();
  }
}

/** What a meter pushes while it is polled goes the way of every push. */
function roadsOf(config: Config, database: Database, { ingest, ring }: Pipeline, log: Log): MeterRoads {
  return openRoads({
    config,
    database,
    ring,
    lent: ingest,
    onRefused: ({ id }, peer, { reason, text }) => ingest.refuse(peer, reason, text, id),
    onUnusableKey: (error) => log.error({ err: error }, "a meter's key can't be opened"),
    onNotification: (_, { apdu, framing, source, destination, peer }) => {
      const from = { clientSap: destination, serverSap: source, peer, receivedAtMs: Date.now() };
      void ingest.adopt({ apdu, framing, ...from, lastMeter: null, counterRule: "live" });
    },
  });
}
