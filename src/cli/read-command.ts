import { Command } from "commander";
import type { CosemAttributeDescriptor } from "../dlms/cosem/attribute-descriptor.ts";
import { formatObis } from "../dlms/cosem/obis-code.ts";
import type { ScalerUnit } from "../dlms/cosem/scaler-unit.ts";
import { unitSymbol } from "../dlms/cosem/unit.ts";
import { isCompound, plainValue, treeOf } from "../dlms/encoding/data-tree.ts";
import type { Data } from "../dlms/encoding/data-types.ts";
import { dateTimeAt, readDateTime } from "../dlms/encoding/date-time.ts";
import { EXIT, UserError } from "../exit.ts";
import { scaled, scaledBig } from "../mapping/scale.ts";
import { utcOffsetMinutes } from "../mapping/zone.ts";
import type { MeterAssociation } from "../polling/meter-association.ts";
import { readObjectList } from "../polling/object-list.ts";
import { type ObjectReading, type RowsWanted, readObject } from "../polling/read-object.ts";
import { classesOfCodes } from "../storage/reference-lists.ts";
import { bitText, isoOf, textOf, timeIn } from "./decode/tree.ts";
import type { Program } from "./program.ts";
import { readAll } from "./read-all.ts";
import { localInstant, type NamedObject, namedObject } from "./read-request.ts";
import { textTable } from "./text-table.ts";
import { clientSapOf, type MeterSession, withMeter } from "./with-meter.ts";

interface ReadOptions {
  readonly client: string;
  readonly from?: string;
  readonly to?: string;
  readonly last?: string;
  readonly json?: true;
  readonly all?: true;
  readonly output?: string;
  readonly rows: string;
}

/** The meter reader of IS 15959. */
const METER_READER = "32";

export function readCommand(program: Program): Command {
  return new Command("read")
    .description("Read objects of a meter now, in an association of one of its clients")
    .argument("<meter>", "number, id, system title or logical device name")
    .argument("[obis...]", "objects: 1.0.1.8.0.255, or with class and attribute 7:1.0.99.1.0.255/2")
    .option(
      "--client <sap>",
      "client: 16 public, 32 meter reader, 48 utility setting; with --all several",
      METER_READER,
    )
    .option(
      "--from <time>",
      "rows of profiles from then on, in the meter's time: 2026-07-24 or 2026-07-24T10:15",
    )
    .option("--to <time>", "and until then")
    .option("--last <n>", "the last rows of profiles")
    .option("--json", "for scripts")
    .option("--all", "walk the object list and write a meter model instead")
    .option("--output <file>", "with --all: the file to write")
    .option("--rows <n>", "with --all: most rows of a profile", "10")
    .action((name: string, codes: string[], options: ReadOptions) => {
      if (options.all) return readAll(program, name, options);
      if (codes.length === 0)
        throw new UserError(EXIT.usage, "name the objects to read by their OBIS codes, or use --all");
      return readNow(program, name, codes.map(namedObject), options);
    });
}

function readNow(
  program: Program,
  name: string,
  objects: NamedObject[],
  options: ReadOptions,
): Promise<void> {
  const clientSap = clientSapOf(options.client);
  const last = options.last === undefined ? null : Number(options.last);
  if (last !== null && (!Number.isInteger(last) || last < 1))
    throw new UserError(EXIT.usage, "--last is a number from 1");
  const range = [
    localInstant("--from", options.from, false),
    localInstant("--to", options.to, true),
  ] as const;
  return withMeter(program, name, async (session) => {
    const wanted = rowsWanted(session, range, last);
    const association = await session.associate(clientSap);
    const attributes = await withClasses(session, association, objects);
    const readings: { attribute: CosemAttributeDescriptor; reading: ObjectReading }[] = [];
    for (const attribute of attributes) {
      const onProgress = progressTo(program, formatObis(attribute.instanceId));
      readings.push({ attribute, reading: await readObject(association, attribute, wanted, onProgress) });
    }
    if (options.json) {
      const found = readings.map(({ attribute, reading }) => ({
        ...described(attribute),
        ...jsonOf(reading),
      }));
      program.print(
        JSON.stringify({ meter: session.meter.meterNumber, client: clientSap, objects: found }, null, 2),
      );
    } else {
      show(program, readings);
    }
    if (readings.some(({ reading }) => reading.kind === "refused")) program.finish(EXIT.unavailable);
  });
}

/** Times are those of the meter's clock, whose offset follows from its zone. */
function rowsWanted(
  { meter, config }: MeterSession,
  [from, to]: readonly [number | null, number | null],
  last: number | null,
): RowsWanted {
  if (from === null && to === null) return last === null ? { kind: "all" } : { kind: "last", count: last };
  const zone = meter.timeZone ?? config.time.zone;
  const clock = (localMs: number) => {
    const offset = utcOffsetMinutes(zone, localMs);
    return dateTimeAt(
      localMs - offset * 60_000,
      meter.deviationSign === "standard" ? -offset : offset,
      offset,
    );
  };
  return { kind: "range", from: clock(from ?? 0), to: clock(to ?? Date.now() + DAY_MS) };
}

const DAY_MS = 86_400_000;

/** Classes that were not named: from the catalogue, else from the meter's own object list. */
async function withClasses(
  session: MeterSession,
  association: MeterAssociation,
  objects: readonly NamedObject[],
): Promise<CosemAttributeDescriptor[]> {
  const unnamed = objects
    .filter(({ classId }) => classId === null)
    .map(({ instanceId }) => formatObis(instanceId));
  const known =
    unnamed.length === 0 ? new Map<string, number>() : await classesOfCodes(session.database, unnamed);
  if (unnamed.some((code) => !known.has(code))) {
    const { objects: listed } = await readObjectList(association);
    for (const { classId, logicalName } of listed) known.set(formatObis(logicalName), classId);
  }
  return objects.map(({ classId, instanceId, attributeId }) => {
    const found = classId ?? known.get(formatObis(instanceId));
    if (found === undefined) {
      const code = formatObis(instanceId);
      throw new UserError(
        EXIT.data,
        `The class of ${code} isn't known, and the meter doesn't list it: write it in front, as 3:${code}`,
      );
    }
    return { classId: found, instanceId, attributeId };
  });
}

const PROGRESS_MS = 1_000;

/** A line a second while a long answer comes. */
function progressTo(program: Program, code: string): (progress: { octets: number; blocks: number }) => void {
  let next = Date.now() + PROGRESS_MS;
  return ({ octets, blocks }) => {
    if (Date.now() < next) return;
    next = Date.now() + PROGRESS_MS;
    program.complain(`${code}: ${octets} octets in ${blocks} blocks so far`);
  };
}

const described = ({ classId, instanceId, attributeId }: CosemAttributeDescriptor) => ({
  obis: formatObis(instanceId),
  class: classId,
  attribute: attributeId,
});

function jsonOf(reading: ObjectReading): object {
  if (reading.kind === "refused") return { error: reading.reason };
  if (reading.kind === "value") {
    const { value, scalerUnit } = reading;
    return {
      value: shown(value, scalerUnit),
      ...(scalerUnit === null
        ? {}
        : { unit: unitSymbol(scalerUnit.unit), raw: shown(value, null), scaler: scalerUnit.scaler }),
      data: treeOf(value),
    };
  }
  return {
    columns: reading.columns.map(({ classId, logicalName, attributeIndex, dataIndex, scalerUnit }) => ({
      ...{ obis: formatObis(logicalName), class: classId, attribute: attributeIndex, data_index: dataIndex },
      ...(scalerUnit === null ? {} : { unit: unitSymbol(scalerUnit.unit), scaler: scalerUnit.scaler }),
    })),
    rows: reading.rows.map((row) =>
      row.map((value, at) => shown(value, reading.columns[at]?.scalerUnit ?? null)),
    ),
  };
}

function show(
  program: Program,
  readings: readonly { attribute: CosemAttributeDescriptor; reading: ObjectReading }[],
): void {
  const single = readings.filter(({ reading }) => reading.kind !== "profile");
  if (single.length > 0) {
    const rows = single.map(({ attribute, reading }) => ({
      ...described(attribute),
      value: reading.kind === "value" ? shown(reading.value, reading.scalerUnit) : "-",
      unit:
        reading.kind === "value" && reading.scalerUnit !== null ? unitSymbol(reading.scalerUnit.unit) : null,
      problem: reading.kind === "refused" ? reading.reason : null,
    }));
    program.print(textTable(rows, ""));
  }
  for (const { attribute, reading } of readings) {
    if (reading.kind !== "profile") continue;
    const heads = reading.columns.map(({ logicalName, attributeIndex, scalerUnit }, at) => {
      const unit = scalerUnit === null ? "" : ` ${unitSymbol(scalerUnit.unit)}`;
      const code = formatObis(logicalName).replace(/\.255$/, "");
      return `${at + 1}|${code}${attributeIndex === 2 ? "" : `/${attributeIndex}`}${unit}`;
    });
    const rows = reading.rows.map((row) =>
      Object.fromEntries(heads.map((head, at) => [head, shown(row[at]!, reading.columns[at]!.scalerUnit)])),
    );
    program.print(
      `${single.length > 0 ? "\n" : ""}${formatObis(attribute.instanceId)}: ${reading.rows.length} rows`,
    );
    program.print(textTable(rows, "No rows."));
  }
}

/** A value as people read it: scaled, times in ISO 8601, text where octets are text; what holds others as JSON. */
function shown(data: Data, scalerUnit: ScalerUnit | null): string | number | boolean | null {
  if (data.type === "null-data") return null;
  if (isCompound(data)) return JSON.stringify(treeOf(data));
  if (typeof data.value === "number") {
    if (data.type.startsWith("float")) return data.value;
    return scalerUnit === null ? data.value : scaled(data.value, scalerUnit.scaler);
  }
  if (typeof data.value === "bigint") {
    return scalerUnit === null ? data.value.toString() : scaledBig(data.value, scalerUnit.scaler);
  }
  if (data.type === "date-time") return isoOf(readDateTime(data.value, 0)) ?? data.value.toString("hex");
  if (data.type === "octet-string") {
    const time = timeIn(data.value);
    return (time === null ? null : isoOf(time)) ?? textOf(data.value) ?? data.value.toString("hex");
  }
  if (data.type === "bit-string") return bitText(data.value);
  return plainValue(data) as string | boolean;
}
