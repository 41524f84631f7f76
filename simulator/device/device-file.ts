import { readFileSync } from "node:fs";
import { join } from "node:path";
import { catalogueFolder } from "../../src/catalogue/catalogue-folder.ts";
import type { Mechanism } from "../../src/dlms/association/mechanisms.ts";
import type { PushKind } from "../model.ts";

/** What the client of an association may do: see rights.ts. */
export type Role = "public" | "reader" | "utility" | "firmware" | "manager" | "push";

/** Class, logical name and attribute. */
type ColumnEntry = readonly [classId: number, code: string, attribute: number];

export interface DeviceProfileEntry {
  readonly kind: PushKind;
  readonly logical_name: string;
  /** Of event logs. */
  readonly log?: number;
  /** Of the push that carries its rows, where obis/push-lists doesn't say. */
  readonly push_setup?: string;
  /** Seconds; block: as the model says; absent: on events. */
  readonly period?: number | "block";
  /** How many rows it holds: so many, or those of so many days. */
  readonly entries?: number;
  readonly days?: number;
  /** Logical name of the profile with its scalers. */
  readonly scalers?: string;
  /** Where obis/push-lists has none. */
  readonly columns?: readonly ColumnEntry[];
}

/** A push of present values that is no profile's. */
export interface DevicePushEntry {
  readonly kind: PushKind;
  readonly push_setup: string;
  readonly columns: readonly ColumnEntry[];
}

export interface DeviceObjectEntry {
  readonly class: number;
  readonly version: number;
  readonly logical_name: string;
  readonly public?: boolean;
  /** Client whose invocation counter it is. */
  readonly counter_of?: number;
  readonly attributes?: Readonly<Record<string, unknown>>;
  readonly write?: readonly number[];
  readonly methods?: readonly number[];
}

/** A file of obis/device-models. */
export interface DeviceFile {
  readonly associations: readonly {
    readonly name: string;
    readonly client_sap: number;
    readonly logical_name: string;
    readonly mechanism: Mechanism;
    readonly ciphered: boolean;
    readonly required: number;
    readonly conformance: string;
    readonly role: Role;
    readonly pre_established?: boolean;
  }[];
  readonly profiles: readonly DeviceProfileEntry[];
  readonly pushes?: readonly DevicePushEntry[];
  readonly objects: readonly DeviceObjectEntry[];
}

/** Reads NAME.json of obis/device-models. */
export function readDeviceFile<F>(name: string): F {
  return JSON.parse(readFileSync(join(catalogueFolder(), "device-models", `${name}.json`), "utf8")) as F;
}
