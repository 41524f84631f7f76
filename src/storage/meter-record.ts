import type { KeyObject } from "node:crypto";

export type DeviationSign = "standard" | "reversed";

/** A meter as the listener needs it: who it is and what protection it must use. One row of `meters`. */
export interface MeterRecord {
  /** uuid */
  readonly id: string;
  readonly meterNumber: string;
  /** Name of a row of `meter_types`: what scalers, push setups and push objects are configured for. */
  readonly meterType: string;
  /** `D1`, `D2`, `D3`, … `IDIS`, `DSMR`: the companion specification's category of that type. */
  readonly category: string;
  readonly manufacturer: string | null;
  readonly model: string | null;
  readonly logicalDeviceName: string | null;
  /** 16 hex digits in lower case. */
  readonly systemTitle: string | null;
  readonly framing: "auto" | "hdlc" | "wrapper";
  readonly host: string | null;
  /** Security control bits that must be there: 0, 0x10, 0x20 or 0x30. */
  readonly requiredProtection: number;
  readonly securitySuite: 0 | 1 | 2;
  /** A counter that stands still is allowed (a few meters send 0 for ever). */
  readonly counterMayStandStill: boolean;
  readonly deviationSign: DeviationSign;
  /** IANA name; null: the configured zone. */
  readonly timeZone: string | null;
  readonly keys: readonly MeterKey[];
  /** Public keys of its certificates for digital signature; absent where none is known. */
  readonly signatureKeys?: readonly KeyObject[];
}

/** A usable key of a meter: opened from its envelope, never as octets. */
export interface MeterKey {
  /** Row of `meter_keys`. */
  readonly keyId: number;
  readonly kind: "guek" | "gak" | "gbek" | "dedicated" | "master";
  /** The client SAP whose association uses it; null: all of them. */
  readonly clientSap: number | null;
  /** EXPIRED: only what was accepted under it is still opened with it. */
  readonly state: "NEW" | "ACTIVE" | "EXPIRED";
  readonly key: KeyObject;
}

/** Finds meters; answers come from a bounded cache that a change in the database invalidates. */
export interface MeterDirectory {
  /** From the cache alone: undefined where the database must be asked. */
  peekBySystemTitle(systemTitle: string): MeterRecord | null | undefined;
  bySystemTitle(systemTitle: string): Promise<MeterRecord | null>;
  /** From the cache alone, as peekBySystemTitle. */
  peekByIdentifier(identifier: string): MeterRecord | null | undefined;
  /** By meter number, device id, serial number or logical device name, as it stands inside a body. */
  byIdentifier(identifier: string): Promise<MeterRecord | null>;
  /** From the cache alone, as peekBySystemTitle. */
  peekById(meterId: string): MeterRecord | null | undefined;
  byId(meterId: string): Promise<MeterRecord | null>;
  /** The same with the keys that it had before, from the database; for what was accepted under one of those. */
  byIdWithFormerKeys(meterId: string): Promise<MeterRecord | null>;
  /** By the address a meter calls from, where it is configured. */
  byHost(host: string): Promise<MeterRecord | null>;
}
