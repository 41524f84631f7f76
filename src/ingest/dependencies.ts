import type { Clock } from "../clock.ts";
import type { DurableLog } from "../durable-log/durable-log.ts";
import type { Limits } from "../limits.ts";
import type { MappingConfiguration } from "../mapping/configuration.ts";
import type { PushStore } from "../storage/accepted-push.ts";
import type {
  CodeRegistry,
  CounterStore,
  MeterRegistrar,
  SecurityEventStore,
  StatusWordStore,
  UnknownFrameStore,
} from "../storage/ingest-stores.ts";
import type { MeterDirectory } from "../storage/meter-record.ts";
import type { Alerting } from "./alert-feed.ts";
import type { DrainLimits } from "./drain.ts";
import type { LoggedCounters } from "./logged-counters.ts";
import type { IngestObserver } from "./observer.ts";

/** As much of a pino logger as the ingest uses. */
export interface Log {
  debug(fields: object, text: string): void;
  info(fields: object, text: string): void;
  warn(fields: object, text: string): void;
  error(fields: object, text: string): void;
}

export interface IngestSecurity {
  readonly unknownMeters: "quarantine" | "refuse" | "register";
  /** Largest jump that an untagged counter may make; 2²⁴ by default. */
  readonly counterJumpMax: number;
}

export interface IngestDependencies {
  readonly store: PushStore;
  /** null: a push is safe at COMMIT, and not before. */
  readonly durableLog: DurableLog | null;
  /** Absent: `DRAIN_LIMITS`. */
  readonly drainLimits?: Partial<DrainLimits>;
  /** Counters of what the durable log held when it was opened. */
  readonly logged: LoggedCounters;
  readonly directory: MeterDirectory;
  readonly counters: CounterStore;
  readonly quarantine: UnknownFrameStore;
  readonly securityEvents: SecurityEventStore;
  readonly codes: CodeRegistry;
  readonly statusWords: StatusWordStore;
  readonly registrar: MeterRegistrar | null;
  /** null: no alerts are raised. */
  readonly alerting: Alerting | null;
  readonly configuration: () => MappingConfiguration;
  /**
   * How to have the configuration read again, where it changed, for a push that it doesn't explain and that came at `receivedAtMs`; null where
   * it was read after that. Absent: never.
   */
  readonly renewal?: (receivedAtMs: number) => (() => Promise<void>) | null;
  readonly limits: Limits;
  readonly security: IngestSecurity;
  /** IANA zone of meters that have none of their own and give no deviation. */
  readonly zone: string;
  readonly observer: IngestObserver;
  readonly log: Log;
  readonly clock: Clock;
  /** Milliseconds since 1970 UTC. */
  readonly now: () => number;
}
