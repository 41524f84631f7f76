import type { AssociationImport, MeterImport, ScalerImport } from "../../storage/meter-import.ts";
import { type TableColumns, TableFile, type TableLine } from "./table-file.ts";

export const METER_COLUMNS: TableColumns = {
  required: ["meter_number", "meter_type"],
  optional: [
    "manufacturer",
    "model",
    "logical_device_name",
    "system_title",
    "required_protection",
    "security_suite",
    "guek",
    "gak",
    "master_key",
    "framing",
    "mode",
    "host",
    "port",
    "server_sap",
    "deviation_sign",
    "time_zone",
    "group",
  ],
};

const PROTECTIONS = ["", "none", "authenticated", "encrypted", "authenticated+encrypted"] as const;
const PROTECTION_BITS = { none: 0, authenticated: 0x10, encrypted: 0x20, "authenticated+encrypted": 0x30 };
const MECHANISMS = ["none", "lls", "hls2", "hls3", "hls4", "hls5", "hls6", "hls7"] as const;

/**
 * @param meterTypes names of the meter types that there are
 * @throws UserError that names every bad line
 */
export function readMeters(name: string, text: string, meterTypes: readonly string[]): MeterImport[] {
  const file = new TableFile(name, text, METER_COLUMNS);
  const meters = file.lines.map((line) => meterOf(line, meterTypes));
  unique(file, meters, "meter_number", ({ meterNumber }) => meterNumber);
  unique(file, meters, "system_title", ({ systemTitle }) => systemTitle);
  file.finish();
  return meters;
}

function meterOf(line: TableLine, meterTypes: readonly string[]): MeterImport {
  const meterType = line.required("meter_type");
  if (meterType !== "" && !meterTypes.includes(meterType)) {
    line.problem(`there is no meter type "${meterType}"; there are ${meterTypes.join(", ")}`);
  }
  const suite = (line.integer("security_suite", 0, 2) ?? 0) as 0 | 1 | 2;
  const keyLength = [suite === 2 ? 32 : 16];
  const guek = line.key("guek", keyLength);
  const gak = line.key("gak", keyLength);
  const master = line.key("master_key", keyLength);
  const mode = line.oneOf("mode", ["listen", "dial"], "listen");
  if (mode === "dial" && line.text("host") === null) line.problem("mode dial needs host");
  const timeZone = line.text("time_zone");
  if (timeZone !== null && !isTimeZone(timeZone))
    line.problem(`time_zone "${timeZone}" is not an IANA time zone`);
  return {
    line: line.number,
    meterNumber: line.required("meter_number"),
    meterType,
    manufacturer: line.text("manufacturer"),
    model: line.text("model"),
    logicalDeviceName: line.text("logical_device_name"),
    systemTitle: line.hex("system_title", 8),
    requiredProtection: protection(line, guek !== null, gak !== null),
    securitySuite: suite,
    keys: [
      ...(guek ? [{ kind: "guek" as const, key: guek }] : []),
      ...(gak ? [{ kind: "gak" as const, key: gak }] : []),
      ...(master ? [{ kind: "master" as const, key: master }] : []),
    ],
    framing: line.oneOf("framing", ["auto", "hdlc", "wrapper"], "auto"),
    mode,
    host: line.text("host"),
    port: line.integer("port", 1, 65_535),
    serverSap: line.integer("server_sap", 0, 65_535),
    deviationSign: line.oneOf("deviation_sign", ["standard", "reversed"], "standard"),
    timeZone,
    group: line.text("group"),
  };
}

/** What the keys allow, where the file doesn't say: a meter with keys never gets away with plaintext. */
function protection(line: TableLine, hasEncryptionKey: boolean, hasAuthenticationKey: boolean): number {
  const given = line.oneOf("required_protection", PROTECTIONS, "");
  if (given === "") return hasEncryptionKey ? (hasAuthenticationKey ? 0x30 : 0x20) : 0;
  return PROTECTION_BITS[given];
}

export const ASSOCIATION_COLUMNS: TableColumns = {
  required: ["meter_number", "client_sap"],
  optional: ["mechanism", "secret", "guek", "gak", "dedicated"],
};

/** One line an association. @throws UserError that names every bad line */
export function readAssociations(name: string, text: string): AssociationImport[] {
  const file = new TableFile(name, text, ASSOCIATION_COLUMNS);
  const associations = file.lines.map((line): AssociationImport => {
    const keys = (["guek", "gak", "dedicated"] as const).flatMap((kind) => {
      const key = line.key(kind, [16, 32]);
      return key ? [{ kind, key }] : [];
    });
    const mechanism = line.oneOf("mechanism", MECHANISMS, "none");
    const secret = line.secret("secret");
    if (mechanism === "lls" && secret === null) line.problem("mechanism lls needs secret");
    line.required("client_sap");
    return {
      line: line.number,
      meterNumber: line.required("meter_number"),
      clientSap: line.integer("client_sap", 1, 32_767) ?? 0,
      mechanism,
      secret,
      keys,
    };
  });
  unique(file, associations, "meter_number and client_sap", (a) => `${a.meterNumber} ${a.clientSap}`);
  file.finish();
  return associations;
}

export const SCALER_COLUMNS: TableColumns = {
  required: ["meter_type", "obis", "scaler"],
  optional: ["attribute", "unit"],
  aliases: { code: "obis", obis_code: "obis" },
};

/** What integers of a meter type mean. @throws UserError that names every bad line */
export function readScalers(name: string, text: string, meterTypes: readonly string[]): ScalerImport[] {
  const file = new TableFile(name, text, SCALER_COLUMNS);
  const scalers = file.lines.map((line): ScalerImport => {
    const meterType = line.required("meter_type");
    if (meterType !== "" && !meterTypes.includes(meterType)) {
      line.problem(`there is no meter type "${meterType}"; there are ${meterTypes.join(", ")}`);
    }
    line.required("scaler");
    return {
      line: line.number,
      meterType,
      code: obisCode(line),
      attribute: line.integer("attribute", 1, 127) ?? 2,
      scaler: line.integer("scaler", -30, 30) ?? 0,
      unit: line.text("unit"),
    };
  });
  unique(file, scalers, "object", ({ meterType, code, attribute }) => `${meterType} ${code}/${attribute}`);
  file.finish();
  return scalers;
}

/** `1.0.12.7.0.255`, or as the Blue Book prints it, `1-0:12.7.0*255`. */
function obisCode(line: TableLine): string {
  const value = line.required("obis");
  const groups = value.split(/[.:*-]/);
  const sound =
    groups.length === 6 && groups.every((group) => /^\d{1,3}$/.test(group) && Number(group) <= 255);
  if (value !== "" && !sound) line.problem(`obis is "${value}", not an OBIS code like 1.0.12.7.0.255`);
  return groups.map(Number).join(".");
}

function unique<T extends { readonly line: number }>(
  file: TableFile,
  items: readonly T[],
  column: string,
  of: (item: T) => string | null,
): void {
  const first = new Map<string, number>();
  for (const item of items) {
    const value = of(item);
    if (value === null || value === "") continue;
    const line = first.get(value);
    if (line === undefined) first.set(value, item.line);
    else file.problem(item.line, `${column} ${value} stands in line ${line} already`);
  }
}

function isTimeZone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat("en", { timeZone: name }) !== null;
  } catch {
    return false;
  }
}
