import type { RefusalReason } from "../refusal.ts";
import type { MeterRecord } from "./meter-record.ts";

/* What the ingest asks of the storage besides committing pushes. */

/** The received counter of one key, originator and client SAP as the database has it. */
export interface StoredCounter {
  /** Highest accepted counter; null: none yet. */
  readonly high: number | null;
  /** Digests of the last 64 accepted frames (first 16 octets of SHA-256 over the protected APDU, as Latin-1), with their counters. */
  readonly digests: readonly { readonly counter: number; readonly digest: string }[];
  /** Answered without the database, which knows more digests. */
  readonly isProvisional?: boolean;
}

export interface CounterStore {
  loadCounter(keyId: number, systemTitle: string, clientSap: number): Promise<StoredCounter>;
}

/** A frame whose meter or key is not known: not verified, not acknowledged. */
export interface UnknownFrame {
  /** System title in 16 hex digits, or the address it came from where there is none: what the ring is kept by. */
  readonly source: string;
  readonly systemTitle: string | null;
  readonly peer: string;
  readonly framing: string;
  readonly reason: RefusalReason;
  readonly receivedAtMs: number;
  readonly clientSap: number;
  readonly serverSap: number;
  readonly apdu: Buffer;
}

/** A bounded ring per source in the database; the caller batches. */
export interface UnknownFrameStore {
  keep(frames: readonly UnknownFrame[]): Promise<void>;
}

/** What was refused from one source for one reason within one minute. */
export interface SecurityEvent {
  readonly source: string;
  readonly reason: RefusalReason;
  /** Start of the minute. */
  readonly minuteMs: number;
  readonly meterId: string | null;
  readonly count: number;
  /** Text of the first of them. */
  readonly text: string;
}

export interface SecurityEventStore {
  record(events: readonly SecurityEvent[]): Promise<void>;
}

/** Codes that no catalogue knows: registered as standard `unknown`, so that their values can be stored. */
export interface CodeRegistry {
  /** Ids of `obis_codes` by code. `configuration()` knows them afterwards. */
  register(
    objects: readonly { code: string; classId: number; attribute: number }[],
  ): Promise<ReadonlyMap<string, number>>;
}

/** The last event status word that a meter sent, so that bits that come and go are seen across restarts. */
export interface StatusWordStore {
  /** Text as it was stored in `meter_readings.value_text` (bits as `0` and `1`, first on the wire first); null: none yet. */
  lastStatusWord(meterId: string, obisCodeId: number): Promise<string | null>;
}

/** Registers a meter that nobody imported (security.unknown_meters = "register"). */
export interface MeterRegistrar {
  register(meter: { meterNumber: string; systemTitle: string | null }): Promise<MeterRecord | null>;
}
