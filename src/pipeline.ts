import { SYSTEM_CLOCK } from "./clock.ts";
import type { DurableLog } from "./durable-log/durable-log.ts";
import { createIngest, type Ingest } from "./ingest/ingest.ts";
import { LoggedCounters } from "./ingest/logged-counters.ts";
import type { IngestObserver } from "./ingest/observer.ts";
import type { KeyRing } from "./keys/key-ring.ts";
import type { Log } from "./log.ts";
import type { MappingConfiguration } from "./mapping/configuration.ts";
import type { Config } from "./settings.ts";
import { withKnownCounters } from "./snapshot/known-counters.ts";
import type { Snapshot } from "./snapshot/snapshot.ts";
import type { PushStore } from "./storage/accepted-push.ts";
import { openAlertStore } from "./storage/alerts.ts";
import { openCounterStore, openStatusWordStore } from "./storage/counters.ts";
import type { Database } from "./storage/database.ts";
import type { CodeRegistry } from "./storage/ingest-stores.ts";
import { rememberSeen } from "./storage/last-seen.ts";
import { openMeterDirectory } from "./storage/meter-directory.ts";
import { openMeterRegistrar } from "./storage/meter-registrar.ts";
import { openCodeRegistry } from "./storage/obis-codes.ts";
import { openPartitions, type Partitions } from "./storage/partitions.ts";
import { watchMappingConfiguration } from "./storage/push-configuration.ts";
import { openPushStore } from "./storage/push-store.ts";
import { openQuarantine } from "./storage/quarantine.ts";
import { openSecurityEvents } from "./storage/security-events.ts";

/** The line from octets to rows with everything behind it: the daemon's, and that of commands that send kept frames through it. */
export interface Pipeline {
  readonly ingest: Ingest;
  readonly partitions: Partitions;
  readonly ring: KeyRing;
  /** Where rows become durable, for what is read from meters. */
  readonly store: PushStore;
  readonly codes: CodeRegistry;
  /** What the mapping is configured with now. */
  configuration(): MappingConfiguration;
  /** Reads the mapping's configuration again now, instead of when the database has told of its change. */
  reload(): Promise<void>;
  /** Writes what is collected between pushes. */
  flush(): Promise<void>;
  /** Finishes what was received, then lets go. */
  close(): Promise<void>;
}

/** The durable log of the daemon, and the counters of what it held when it was opened. */
export interface DurableBacking {
  readonly durableLog: DurableLog | null;
  readonly logged: LoggedCounters;
  /** What is known while the database is away; absent: nothing. */
  readonly snapshot?: Snapshot;
}

/** Reads meters' keys, which `ring` opens, and the mapping's configuration, and watches both for changes. */
export async function openPipeline(
  config: Config,
  database: Database,
  ring: KeyRing,
  observer: IngestObserver,
  log: Log,
  now: () => number = Date.now,
  durable: DurableBacking = { durableLog: null, logged: new LoggedCounters() },
): Promise<Pipeline> {
  const snapshot = durable.snapshot ?? null;
  const configurationRead = watchMappingConfiguration(database, {
    onReload: (outcome) => {
      if ("error" in outcome)
        log.warn({ err: outcome.error }, "the mapping's configuration can't be read again yet");
      else log.info({ version: outcome.version }, "the mapping's configuration was read again");
    },
    onRead: (records) => snapshot?.configurationRead(records),
    meanwhile: async () => (await snapshot?.configuration()) ?? null,
  });
  const directoryOpened = openMeterDirectory(database, ring, {
    onUnusableKey: (error) => log.error({ err: error }, "a meter's key can't be opened"),
    ...(snapshot === null
      ? {}
      : {
          meanwhile: (by, values) => snapshot.meters.find(by, values),
          onChange: (meterId) => snapshot.meterChanged(meterId),
        }),
  });
  const [configuration, directory, partitions] = await Promise.all([
    configurationRead,
    directoryOpened,
    openPartitions(database),
  ]);
  const store = rememberSeen(
    openPushStore(database, partitions, {
      timeZone: config.time.zone,
      onUnstorable: (error) => log.error({ err: error }, "the database refuses a push; it is in quarantine"),
    }),
    database,
    now,
  );
  const codes = openCodeRegistry(database, configuration.reload);
  const counters = openCounterStore(database);
  const ingest = createIngest({
    store,
    ...durable,
    clock: SYSTEM_CLOCK,
    directory,
    counters: snapshot === null ? counters : withKnownCounters(counters, snapshot.counters),
    quarantine: openQuarantine(database, {
      framesPerSourceMax: config.limits.quarantineFramesPerSource,
      framesMax: config.limits.quarantineFramesMax,
    }),
    securityEvents: openSecurityEvents(database),
    codes,
    statusWords: openStatusWordStore(database),
    registrar: openMeterRegistrar(database, directory),
    alerting: openAlertStore(database),
    configuration: configuration.current,
    renewal: configuration.renewal,
    limits: config.limits,
    security: {
      unknownMeters: config.security.unknownMeters,
      counterJumpMax: config.security.counterJumpMax,
    },
    zone: config.time.zone,
    observer,
    log,
    now,
  });
  return {
    ingest,
    partitions,
    ring,
    store,
    codes,
    configuration: configuration.current,
    reload: configuration.reload,
    flush: () => store.flush(),
    close: async () => {
      await ingest.drain();
      await store
        .flush()
        .catch((error: unknown) => log.debug({ err: error }, "last sightings weren't written"));
      await directory.close();
      await configuration.close();
    },
  };
}
