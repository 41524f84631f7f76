import { createSecretKey } from "node:crypto";
import { readFileSync } from "node:fs";
import { loadCatalogue } from "../../src/catalogue/catalogue.ts";
import { SYSTEM_CLOCK } from "../../src/clock.ts";
import type { DurableLog } from "../../src/durable-log/durable-log.ts";
import type { IngestDependencies } from "../../src/ingest/dependencies.ts";
import type { DrainLimits } from "../../src/ingest/drain.ts";
import { createIngest, type Ingest } from "../../src/ingest/ingest.ts";
import { LoggedCounters } from "../../src/ingest/logged-counters.ts";
import type { IngestObserver, PushVerdict } from "../../src/ingest/observer.ts";
import { DEFAULT_LIMITS, type Limits } from "../../src/limits.ts";
import { recordsOfCatalogue } from "../../src/mapping/catalogue-records.ts";
import { configureMapping, type ListRecord, type ScalerRecord } from "../../src/mapping/configuration.ts";
import type { Cell, Row } from "../../src/mapping/rows.ts";
import type { AcceptedPush, CommitOutcome, CommitVerdict } from "../../src/storage/accepted-push.ts";
import type { SecurityEvent, StoredCounter, UnknownFrame } from "../../src/storage/ingest-stores.ts";
import type { MeterRecord } from "../../src/storage/meter-record.ts";
import { StorageError } from "../../src/storage/storage-error.ts";
import type { ByteConnection } from "../../src/transports/connection.ts";
import type { TransportError } from "../../src/transports/errors.ts";

/** A push that another implementation framed and ciphered; the note beside the file says how it was made. */
export interface PushVector {
  readonly id: string;
  readonly framing: "hdlc" | "wrapper";
  readonly hex: string;
  readonly keys: { readonly guek: string; readonly gak: string; readonly system_title: string } | null;
  readonly meter: { readonly category: string; readonly device_id: string; readonly system_title: string };
  readonly push_setup: string;
  readonly deviation_sign: "standard" | "reversed";
  readonly security: "none" | "e" | "ae";
  readonly body: string;
  readonly rows: readonly (readonly {
    readonly obis: string;
    readonly attribute: number;
    readonly type: string;
    readonly raw: number | string | boolean;
    readonly scaler: number;
    readonly unit: string;
  }[])[];
}

const file = new URL("../vectors/other-implementations/is15959-pushes.jsonl", import.meta.url);
export const pushVectors = readFileSync(file, "utf8")
  .trim()
  .split("\n")
  .map((line) => JSON.parse(line) as PushVector);

export function vectorOf(id: string): PushVector {
  const found = pushVectors.find((vector) => vector.id === `india-${id}`);
  if (found === undefined) throw new Error(`no vector ${id}`);
  return found;
}

const catalogue = loadCatalogue();
const REQUIRED = { none: 0, e: 0x20, ae: 0x30 };
const UNSCALED = ["f32", "f64", "dt", "bits", "bool"];

/** What the meter of a vector seals its pushes with. */
export function keysOf({ id, keys, meter }: PushVector): { systemTitle: Buffer; guek: Buffer; gak: Buffer } {
  if (keys == null || meter.system_title == null) throw new Error(`${id} is not sealed`);
  const octets = (hex: string) => Buffer.from(hex, "hex");
  return { systemTitle: octets(meter.system_title), guek: octets(keys.guek), gak: octets(keys.gak) };
}

/** The meter of a vector: its type is the vector's own, so that its scalers are. */
export function meterOf(vector: PushVector, changes: Partial<MeterRecord> = {}): MeterRecord {
  const key = (octets: string) => createSecretKey(Buffer.from(octets, "hex"));
  const { guek, gak } = vector.keys ?? { guek: "00".repeat(16), gak: "00".repeat(16) };
  return {
    id: `id of ${vector.meter.device_id}`,
    meterNumber: vector.meter.device_id,
    meterType: vector.id,
    category: vector.meter.category,
    manufacturer: null,
    model: null,
    logicalDeviceName: null,
    systemTitle: vector.meter.system_title,
    framing: "auto",
    host: null,
    requiredProtection: REQUIRED[vector.security],
    securitySuite: vector.id.endsWith("-s1") ? 1 : 0,
    counterMayStandStill: false,
    deviationSign: vector.deviation_sign,
    timeZone: null,
    keys: [
      { keyId: 1, kind: "guek", clientSap: null, state: "ACTIVE", key: key(guek) },
      { keyId: 2, kind: "gak", clientSap: null, state: "ACTIVE", key: key(gak) },
    ],
    ...changes,
  };
}

function scalersOf(vector: PushVector): ScalerRecord[] {
  return (vector.rows ?? [])
    .flat()
    .flatMap(({ obis, attribute, type, scaler, unit }) =>
      UNSCALED.includes(type)
        ? []
        : [{ meterType: vector.id, code: obis, attribute, scaler, unit: unit || null }],
    );
}

/** A connection whose other end is the test. */
export class TestConnection implements ByteConnection {
  readonly transport = "tcp";
  readonly remotePort = 40_000;
  readonly remoteAddress: string;
  readonly written: Buffer[] = [];
  closed = false;
  paused = false;
  private data: (chunk: Buffer) => void = () => undefined;
  private ended: ((error: TransportError | null) => void)[] = [];
  /** Whether what arrives while nobody reads stands in the socket, or is read all the same. */
  holdsWhilePaused = false;
  private readonly unread: Buffer[] = [];

  constructor(remoteAddress = "192.0.2.1") {
    this.remoteAddress = remoteAddress;
  }

  receive(octets: Buffer | string): void {
    this.unread.push(typeof octets === "string" ? Buffer.from(octets, "hex") : octets);
    this.deliver();
  }

  private deliver(): void {
    while (!(this.paused && this.holdsWhilePaused) && this.unread.length > 0) this.data(this.unread.shift()!);
  }

  onData(listener: (chunk: Buffer) => void): void {
    this.data = listener;
  }

  onClose(listener: (error: TransportError | null) => void): void {
    this.ended.push(listener);
  }

  write(octets: Buffer): boolean {
    this.written.push(octets);
    return true;
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
    if (this.unread.length > 0) setImmediate(() => setImmediate(() => this.deliver()));
  }

  close(): void {
    this.closed = true;
    for (const listener of this.ended.splice(0)) listener(null);
  }

  destroy(): void {
    this.close();
  }
}

/** An ingest whose database is a few lists. */
export class Surroundings {
  readonly committed: AcceptedPush[] = [];
  commits = 0;
  /** Commits that were begun. */
  commitsBegun = 0;
  /** Those that did not come to an end. */
  failures = 0;
  readonly kept: UnknownFrame[] = [];
  readonly securityEvents: SecurityEvent[] = [];
  readonly verdicts: PushVerdict[] = [];
  readonly refused: string[] = [];
  readonly registered: string[] = [];
  /** What the log was told at level warn. */
  readonly warnings: object[] = [];
  discarded = 0;
  acknowledged = 0;
  lookUps = 0;
  /** How often the mapping's configuration was read again. */
  renewals = 0;
  counter: StoredCounter = { high: null, digests: [] };
  /** While it is away, everything that asks it fails. */
  databaseAway = false;
  /** Only the question for the last status word fails. */
  statusWordsAway = false;
  /** Each holds the answer to one look-up back, the first to the first. */
  readonly slowLookUps: Promise<void>[] = [];
  /** Reads the mapping's configuration again, as after an import. */
  renew: () => Promise<void> = async () => undefined;
  /** Holds the next reading of the configuration back. */
  holdRenewal: Promise<void> | null = null;
  /** Holds commits back until it is resolved. */
  hold: Promise<void> | null = null;
  /** What becomes of every push, where it isn't what its rows say. */
  verdict: CommitVerdict | null = null;
  readonly meters: MeterRecord[];
  readonly ingest: Ingest;
  private readonly durableLog: DurableLog | null;
  private readonly logged: LoggedCounters;
  private readonly drainLimits: Partial<DrainLimits>;

  constructor(
    vectors: readonly PushVector[],
    options: {
      limits?: Partial<Limits>;
      meters?: readonly MeterRecord[];
      counterJumpMax?: number;
      lists?: readonly ListRecord[];
      scalers?: readonly ScalerRecord[];
      /** The daemon knows of no scalers until it has read its configuration again. */
      scalersUnread?: true;
      durableLog?: DurableLog;
      logged?: LoggedCounters;
      drainLimits?: Partial<DrainLimits>;
      drainsLater?: true;
    } = {},
  ) {
    this.durableLog = options.durableLog ?? null;
    this.logged = options.logged ?? new LoggedCounters();
    this.drainLimits = options.drainLimits ?? {};
    this.meters = [...(options.meters ?? vectors.map((vector) => meterOf(vector)))];
    const scalers = [...vectors.flatMap(scalersOf), ...(options.scalers ?? [])];
    const dependencies = this.dependencies(
      { ...DEFAULT_LIMITS, ...options.limits },
      options.lists ?? [],
      options.scalersUnread ? [] : scalers,
      scalers,
    );
    const counterJumpMax = options.counterJumpMax ?? 2 ** 24;
    this.ingest = createIngest({
      ...dependencies,
      security: { unknownMeters: "quarantine", counterJumpMax },
    });
    if (!options.drainsLater) this.ingest.beginDraining();
  }

  connect(remoteAddress?: string): TestConnection {
    const connection = new TestConnection(remoteAddress);
    this.ingest.attach(connection);
    return connection;
  }

  /** Sends frames on a connection of their own, and waits until everything is settled. */
  async send(...frames: (Buffer | string)[]): Promise<TestConnection> {
    const connection = this.connect();
    for (const frame of frames) connection.receive(frame);
    await this.ingest.drain();
    return connection;
  }

  rows(table: string): Row[] {
    return this.committed.flatMap((push) => push.rows.filter((row) => row.table.name === table));
  }

  private async ask<T>(answer: () => T): Promise<T> {
    this.lookUps++;
    await this.slowLookUps.shift();
    if (this.databaseAway) throw new StorageError("unavailable", "away");
    return answer();
  }

  private find(matches: (meter: MeterRecord) => boolean): Promise<MeterRecord | null> {
    return this.ask(() => this.meters.find(matches) ?? null);
  }

  private commit(pushes: readonly AcceptedPush[]): Promise<CommitOutcome[]> {
    this.commitsBegun++;
    const committed = this.commitHeld(pushes);
    committed.catch(() => this.failures++);
    return committed;
  }

  private async commitHeld(pushes: readonly AcceptedPush[]): Promise<CommitOutcome[]> {
    if (this.hold !== null) await this.hold;
    return this.ask(() => {
      this.commits++;
      this.committed.push(...pushes);
      return pushes.map((push) => ({
        verdict: this.verdict ?? (push.quarantine === null ? "applied" : "quarantined"),
        rowsStored: push.rows.length,
        rowsDuplicate: 0,
        rowsConflicting: 0,
        rowsNew: push.rows,
      }));
    });
  }

  private dependencies(
    limits: Limits,
    lists: readonly ListRecord[],
    scalers: readonly ScalerRecord[],
    scalersRead: readonly ScalerRecord[],
  ): IngestDependencies {
    let records = recordsOfCatalogue(catalogue, scalers);
    records = { ...records, lists: [...records.lists, ...lists] };
    let configuration = configureMapping(records);
    let reading: Promise<void> | null = null;
    this.renew = async () => {
      await this.holdRenewal;
      this.renewals++;
      records = { ...records, scalers: [...scalersRead] };
      configuration = configureMapping(records);
    };
    return {
      durableLog: this.durableLog,
      logged: this.logged,
      drainLimits: this.drainLimits,
      clock: SYSTEM_CLOCK,
      store: { commit: (pushes) => this.commit(pushes as readonly AcceptedPush[]) },
      directory: {
        peekBySystemTitle: (title) => this.meters.find((meter) => meter.systemTitle === title),
        peekByIdentifier: () => undefined,
        peekById: () => undefined,
        bySystemTitle: (title) => this.find((meter) => meter.systemTitle === title),
        byIdentifier: (name) =>
          this.find((meter) => meter.meterNumber === name || meter.logicalDeviceName === name),
        byId: (id) => this.find((meter) => meter.id === id),
        byIdWithFormerKeys: (id) => this.find((meter) => meter.id === id),
        byHost: (host) => this.find((meter) => meter.host === host),
      },
      counters: { loadCounter: () => this.ask(() => this.counter) },
      quarantine: { keep: async (frames) => void this.kept.push(...frames) },
      securityEvents: { record: async (events) => void this.securityEvents.push(...events) },
      codes: {
        register: async (objects) => {
          this.registered.push(...objects.map(({ code }) => code));
          const added = objects.map((object, index) => ({
            ...{ ...object, id: 10_000 + index, description: "", unit: null },
            ...{ table: null, column: null, profileColumn: null },
          }));
          records = { ...records, objects: [...records.objects, ...added] };
          configuration = configureMapping(records);
          return new Map();
        },
      },
      statusWords: {
        lastStatusWord: () => {
          if (this.statusWordsAway) return Promise.reject(new StorageError("unavailable", "away"));
          return this.ask(() => null);
        },
      },
      registrar: null,
      alerting: null,
      configuration: () => configuration,
      renewal: () => {
        if (this.renewals > 0) return null;
        reading ??= this.renew();
        return () => reading!;
      },
      limits,
      security: { unknownMeters: "quarantine", counterJumpMax: 2 ** 24 },
      zone: "Asia/Kolkata",
      observer: {
        ...silentObserver,
        pushDone: (verdict) => this.verdicts.push(verdict),
        refused: (reason) => this.refused.push(reason),
        discarded: (octets) => {
          this.discarded += octets;
        },
        acknowledged: () => {
          this.acknowledged++;
        },
      },
      log: {
        ...{ debug: nothing, info: nothing, error: nothing },
        warn: (fields: object) => void this.warnings.push(fields),
      },
      now: () => Date.UTC(2026, 10, 1),
    };
  }
}

export const cell = (row: Row, name: string): Cell => row.cells[row.table.position.get(name)!];

/** A promise for `hold`, and what resolves it. */
export function heldBack(): { promise: Promise<void>; release: () => void } {
  let release = () => {};
  const promise = new Promise<void>((resolve) => {
    release = resolve;
  });
  return { promise, release };
}

const nothing = () => undefined;

export const silentObserver: IngestObserver = {
  connectionOpened: nothing,
  connectionClosed: nothing,
  frameReceived: nothing,
  pushDone: nothing,
  refused: nothing,
  discarded: nothing,
  acknowledged: nothing,
  durableSeconds: nothing,
  decodeSeconds: nothing,
  rowsStored: nothing,
  dbWriteSeconds: nothing,
};
