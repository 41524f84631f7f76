import type { AcseApdu } from "../../dlms/acse/apdu.ts";
import { applicationContexts, mechanisms } from "../../dlms/acse/apdu.ts";
import { formatObis } from "../../dlms/cosem/obis-code.ts";
import { cameCompact } from "../../dlms/encoding/compact-array.ts";
import type { Data } from "../../dlms/encoding/data.ts";
import { isCompound } from "../../dlms/encoding/data-tree.ts";
import type { CosemDateTime } from "../../dlms/encoding/date-time.ts";
import { describeProtection } from "../../dlms/security/security-control.ts";
import type { Apdu } from "../../dlms/xdlms/apdu.ts";
import { conformanceNames } from "../../dlms/xdlms/initiate.ts";
import type { Decoded } from "./decoder.ts";
import type { Opened } from "./opened.ts";
import type { NamedEvent, NamedValue, Problem, Protection } from "./result.ts";
import { dataText, octetsText, timeText } from "./tree.ts";

/** What the catalogue calls an attribute, or null. */
export type NameOf = (code: string, attribute: number) => string | null;

/** What the catalogue knows. */
export interface Names {
  readonly nameOf: NameOf;
  /** Symbol of the unit that an attribute has by the standard, or null. */
  readonly unitOf: NameOf;
}

/** Everything about one APDU, for people: its layers from the outside to the inside, then values and events by name. */
export function textOfDecoded({ opened, named, json }: Decoded, names: Names): string {
  const lines = layerLines(opened, names.nameOf);
  if (named !== null && named.values.length > 0) {
    lines.push(
      named.layout === null ? "values" : `values (${named.layout})`,
      ...valueLines(named.values, names.unitOf),
    );
  }
  if (json.events.length > 0) lines.push("events", ...json.events.map(eventLine));
  if (named?.unexplained) lines.push(`no names: ${named.unexplained}`);
  return lines.join("\n");
}

export function problemText({ reason, offset, text }: Problem): string {
  return `${reason}${offset === undefined ? "" : ` at octet ${offset}`}: ${text}`;
}

function layerLines(opened: Opened, nameOf: NameOf): string[] {
  const { apdu, body, inner, protection } = opened;
  const lines = apdu === null ? [] : apduLines(apdu, nameOf);
  if (opened.text?.kind === "p1-telegram") {
    lines.push(`P1 telegram of ${opened.text.telegram.identification}`);
  } else if (apdu === null && body === null)
    lines.push(`${opened.octets.length} octets that could not be read`);
  if (protection !== null) lines.push(...indent(protectionLines(protection)));
  if (body !== null && apdu?.apdu !== "get-response") {
    lines.push(...(apdu === null ? dataLines(body) : ["  body", ...indent(indent(dataLines(body)))]));
  } else if (body !== null && apdu?.apdu === "get-response" && apdu.kind !== "normal") {
    lines.push("  data of all blocks", ...indent(indent(dataLines(body))));
  }
  if (inner !== null) lines.push(...indent(layerLines(inner, nameOf)));
  return lines;
}

const indent = (lines: readonly string[]) => lines.map((line) => `  ${line}`);

function protectionLines({ control, suite, counter, verified, system_title }: Protection): string[] {
  const how = describeProtection(Number.parseInt(control, 16));
  const tag = how.startsWith("authenticated") ? (verified ? ", tag verified" : ", tag not verified") : "";
  return [
    `security control ${control}: suite ${suite}, ${how}${tag}`,
    `invocation counter ${counter}`,
    `originator ${system_title === "" ? "unknown" : system_title}`,
  ];
}

/** Fields that are shown elsewhere: inside, or as the body. */
const ELSEWHERE = new Set(["apdu", "kind", "body", "content", "blockData", "userInformation", "systemTitle"]);

function apduLines(apdu: Apdu | AcseApdu, nameOf: NameOf): string[] {
  const kind = "kind" in apdu ? ` ${apdu.kind}` : "";
  return [`${apdu.apdu}${kind}`, ...indent(fieldLines(apdu, nameOf))];
}

function fieldLines(value: object, nameOf: NameOf): string[] {
  return Object.entries(value).flatMap(([name, field]) =>
    ELSEWHERE.has(name) || field === null || field === false ? [] : labelled(kebab(name), field, nameOf),
  );
}

export function labelled(name: string, field: unknown, nameOf: NameOf): string[] {
  if (Array.isArray(field)) {
    return [
      `${name}: ${field.length}`,
      ...indent(field.flatMap((item, index) => labelled(`[${index}]`, item, nameOf))),
    ];
  }
  if (field === null || typeof field !== "object") return [`${name}: ${scalarText(name, field)}`];
  if (Buffer.isBuffer(field)) return [`${name}: ${octetsText(field)}`];
  if (isDateTime(field)) return [`${name}: ${timeText(field)}`];
  if (isData(field)) {
    const lines = dataLines(field);
    return lines.length === 1 ? [`${name}: ${lines[0]}`] : [name, ...indent(lines)];
  }
  if ("instanceId" in field) return [`${name}: ${descriptorText(field as unknown as Descriptor, nameOf)}`];
  const kind = "kind" in field ? `: ${field.kind}` : "";
  return [`${name}${kind}`, ...indent(fieldLines(field, nameOf))];
}

interface Descriptor {
  readonly classId: number;
  readonly instanceId: number;
  readonly attributeId?: number;
  readonly methodId?: number;
}

function descriptorText({ classId, instanceId, attributeId, methodId }: Descriptor, nameOf: NameOf): string {
  const code = formatObis(instanceId);
  const member = attributeId === undefined ? `method ${methodId}` : `attribute ${attributeId}`;
  const name = attributeId === undefined ? null : nameOf(code, attributeId);
  return `${code} class ${classId} ${member}${name === null ? "" : `, ${name}`}`;
}

function scalarText(name: string, value: unknown): string {
  if (typeof value === "number") {
    if (name === "instance-id") return formatObis(value);
    if (name === "invoke-id-and-priority") return value.toString(16).padStart(2, "0");
    if (name === "long-invoke-id") return value.toString(16).padStart(8, "0");
    if (name.endsWith("conformance")) {
      return `${value.toString(16).padStart(6, "0")}, ${conformanceNames(value).join(" ")}`;
    }
  }
  const known = typeof value === "string" ? (applicationContexts[value] ?? mechanisms[value]) : undefined;
  return known === undefined ? String(value) : `${value}, ${known}`;
}

export const kebab = (name: string) => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

function isDateTime(field: object): field is CosemDateTime {
  return "dayOfMonth" in field;
}

function isData(field: object): field is Data {
  return "type" in field && "value" in field;
}

/** A tree of values, one on each line. */
export function dataLines(data: Data): string[] {
  if (!isCompound(data)) return [dataText(data)];
  const type = cameCompact(data.value) ? "compact-array" : data.type;
  return [`${type} of ${data.value.length}`, ...indent(data.value.flatMap(dataLines))];
}

function valueLines(values: readonly NamedValue[], unitOf: NameOf): string[] {
  return values.map((value) => {
    const { obis, attribute, name } = value;
    return `  ${obis} (${attribute}) ${name ?? "not in the catalogue"}: ${shownValue(value, unitOf)}`;
  });
}

function shownValue({ obis, attribute, value, unit, raw, scaler }: NamedValue, unitOf: NameOf): string {
  const shown = typeof value === "object" ? JSON.stringify(value) : String(value);
  if (unit !== null) {
    const from = scaler === null || scaler === 0 ? "" : ` (raw ${String(raw)}, scaler ${scaler})`;
    return unit === "" ? shown + from : `${shown} ${unit}${from}`;
  }
  const usual = typeof value === "number" ? unitOf(obis, attribute) : null;
  return usual === null ? shown : `${shown} raw, ${usual} with the scaler of the meter`;
}

function eventLine({ code, name, log, severity, time, obis }: NamedEvent): string {
  const where = log === null ? `bit ${code} of ${obis}` : `${log} log ${code}`;
  const weight = severity === null ? "" : `, ${severity}`;
  return `  ${where}: ${name ?? "not in the catalogue"}${weight}${time === null ? "" : `, ${time}`}`;
}
