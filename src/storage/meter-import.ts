import type { KeyObject } from "node:crypto";
import type { DeviationSign } from "./meter-record.ts";

/** A meter as a user gives it: one line of `hes meters import`, or one `hes meters add`. */
export interface MeterImport {
  /** Line of the file that it stands in, for messages. */
  readonly line: number;
  readonly meterNumber: string;
  readonly meterType: string;
  readonly manufacturer: string | null;
  readonly model: string | null;
  readonly logicalDeviceName: string | null;
  /** 16 hex digits in lower case. */
  readonly systemTitle: string | null;
  /** Security control bits that must be there: 0, 0x10, 0x20 or 0x30. */
  readonly requiredProtection: number;
  readonly securitySuite: 0 | 1 | 2;
  readonly keys: readonly { readonly kind: "guek" | "gak" | "master"; readonly key: KeyObject }[];
  readonly framing: "auto" | "hdlc" | "wrapper";
  readonly mode: "listen" | "dial";
  readonly host: string | null;
  readonly port: number | null;
  readonly serverSap: number | null;
  readonly deviationSign: DeviationSign;
  /** IANA name; null: the configured zone. */
  readonly timeZone: string | null;
  readonly group: string | null;
}

/** An association of a meter that is there: one line of `hes keys import`. Keys that are absent are the meter's own. */
export interface AssociationImport {
  readonly line: number;
  readonly meterNumber: string;
  readonly clientSap: number;
  readonly mechanism: "none" | "lls" | "hls2" | "hls3" | "hls4" | "hls5" | "hls6" | "hls7";
  /** Password or HLS secret. */
  readonly secret: KeyObject | null;
  readonly keys: readonly { readonly kind: "guek" | "gak" | "dedicated"; readonly key: KeyObject }[];
}

/** What an object's integers mean in meters of one type: raw × 10^scaler in `unit`. */
export interface ScalerImport {
  readonly line: number;
  readonly meterType: string;
  /** `a.b.c.d.e.f` */
  readonly code: string;
  readonly attribute: number;
  readonly scaler: number;
  /** Symbol, such as Wh; null: the catalogue's. */
  readonly unit: string | null;
}
