import { loadCatalogue } from "../../src/catalogue/catalogue.ts";
import type { DurableLog } from "../../src/durable-log/durable-log.ts";
import type { SpoolFile, SpoolFiles } from "../../src/durable-log/spool/files.ts";
import { openSpool } from "../../src/durable-log/spool/spool.ts";
import { loggedFrame, readAcceptedRecord } from "../../src/ingest/accepted-record.ts";
import { createIngest, type Ingest } from "../../src/ingest/ingest.ts";
import { LoggedCounters } from "../../src/ingest/logged-counters.ts";
import { DEFAULT_LIMITS } from "../../src/limits.ts";
import { recordsOfCatalogue } from "../../src/mapping/catalogue-records.ts";
import { configureMapping } from "../../src/mapping/configuration.ts";
import type { MeterRecord } from "../../src/storage/meter-record.ts";
import type { FaultyDisk } from "../support/faulty-files.ts";
import type { FakeDatabase } from "./fake-database.ts";
import type { VirtualClock } from "./virtual-clock.ts";

const configuration = configureMapping(recordsOfCatalogue(loadCatalogue()));
const nothing = () => undefined;
/** In some lives few pushes may wait in memory, and are mapped again when they are read. */
const WARM_MAX = 10;
/** At a time of its own in each life, so that some end before. */
const DRAINS_WITHIN_MS = 100;

/** One run of the daemon's core, from its start to its end, whatever ends it. */
export interface Life {
  readonly ingest: Ingest;
  readonly durableLog: DurableLog;
  /** As kill -9: nothing of it happens any more. */
  kill(): void;
}

export interface LifeOptions {
  readonly clock: VirtualClock;
  readonly disk: FaultyDisk;
  readonly database: FakeDatabase;
  readonly meters: readonly MeterRecord[];
  readonly random: () => number;
}

export async function begin({ clock, disk, database, meters, random }: LifeOptions): Promise<Life> {
  let over = false;
  const own = clock.forLife(() => over);
  const logged = new LoggedCounters();
  const durableLog = await openSpool({
    files: filesOfLife(disk.access, () => over),
    clock: own,
    observer: { problem: nothing, synced: nothing },
    nonce: () => Math.floor(random() * 2 ** 32),
    bytesMax: 20_000,
    limits: { segmentBytes: 2_000 },
    onRecovered: (payload, isDrained) => {
      const frame = loggedFrame(readAcceptedRecord(payload));
      if (frame !== null && !isDrained) logged.log(frame);
    },
  });
  const find = (matches: (meter: MeterRecord) => boolean) => database.ask(() => meters.find(matches) ?? null);
  const ingest = createIngest({
    ...{ durableLog, logged, clock: own, store: database.openStore(), counters: database.counters },
    drainLimits: { warmMax: 1 + Math.floor(random() * WARM_MAX), behindMax: 6, readMax: 5 },
    directory: {
      peekBySystemTitle: (title) => meters.find((meter) => meter.systemTitle === title),
      peekById: (id) => meters.find((meter) => meter.id === id),
      peekByIdentifier: (name) => meters.find((meter) => meter.meterNumber === name),
      bySystemTitle: (title) => find((meter) => meter.systemTitle === title),
      byIdentifier: (name) => find((meter) => meter.meterNumber === name),
      byId: (id) => find((meter) => meter.id === id),
      byIdWithFormerKeys: (id) => find((meter) => meter.id === id),
      byHost: () => find(() => false),
    },
    quarantine: { keep: async () => undefined },
    securityEvents: { record: async () => undefined },
    codes: { register: async () => new Map() },
    statusWords: { lastStatusWord: () => database.ask(() => null) },
    registrar: null,
    alerting: null,
    configuration: () => configuration,
    limits: DEFAULT_LIMITS,
    security: { unknownMeters: "quarantine", counterJumpMax: 2 ** 24 },
    zone: "Asia/Kolkata",
    observer: {
      ...{ connectionOpened: nothing, connectionClosed: nothing, frameReceived: nothing, pushDone: nothing },
      ...{ refused: nothing, discarded: nothing, acknowledged: nothing, durableSeconds: nothing },
      ...{ decodeSeconds: nothing, rowsStored: nothing, dbWriteSeconds: nothing },
    },
    log: { debug: nothing, info: nothing, warn: nothing, error: nothing },
    now: own.now,
  });
  // As the daemon, which hears meters before it drains.
  own.after(Math.floor(random() * DRAINS_WITHIN_MS), () => ingest.beginDraining());
  return {
    ingest,
    durableLog,
    kill: () => {
      over = true;
    },
  };
}

/** The disk as one process sees it: after its end nothing it began goes on. */
function filesOfLife(files: SpoolFiles, isOver: () => boolean): SpoolFiles {
  const never = new Promise<never>(nothing);
  const alive = async <T>(work: () => Promise<T>): Promise<T> => {
    if (isOver()) return never;
    const result = await work();
    return isOver() ? never : result;
  };
  const fileOf = (file: SpoolFile): SpoolFile => ({
    write: (octets, at) => alive(() => file.write(octets, at)),
    datasync: () => alive(() => file.datasync()),
    read: (into, at) => alive(() => file.read(into, at)),
    size: () => alive(() => file.size()),
    close: () => alive(() => file.close()),
  });
  return {
    list: () => alive(() => files.list()),
    create: (name) => alive(async () => fileOf(await files.create(name))),
    open: (name) => alive(async () => fileOf(await files.open(name))),
    remove: (name) => alive(() => files.remove(name)),
    setAside: (name) => alive(() => files.setAside(name)),
    replace: (name, content) => alive(() => files.replace(name, content)),
  };
}
