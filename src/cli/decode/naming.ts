import { loadCatalogue } from "../../catalogue/catalogue.ts";
import { formatObis } from "../../dlms/cosem/obis-code.ts";
import { unitSymbol } from "../../dlms/cosem/unit.ts";
import type { Data, DataLimits } from "../../dlms/encoding/data.ts";
import { isCompound, plainValue, treeOf } from "../../dlms/encoding/data-tree.ts";
import { type CosemDateTime, readDateTime } from "../../dlms/encoding/date-time.ts";
import type { Telegram } from "../../dlms/text/p1-telegram.ts";
import { captureAttribute, decodePush } from "../../mapping/body.ts";
import { CaptureLists, type ScopedLists } from "../../mapping/capture-lists.ts";
import {
  type CapturedEvent,
  type CapturedPush,
  type CapturedValue,
  capturesOf,
} from "../../mapping/captured.ts";
import { recordsOfCatalogue } from "../../mapping/catalogue-records.ts";
import { configureMapping, type MappingConfiguration } from "../../mapping/configuration.ts";
import { captureTelegram } from "../../mapping/layout-telegram.ts";
import { scaled, scaledBig } from "../../mapping/scale.ts";
import type { NamedEvent, NamedValue } from "./result.ts";
import { isoOf, textOf, timeIn } from "./tree.ts";

export interface Named {
  readonly layout: string | null;
  readonly values: NamedValue[];
  readonly events: NamedEvent[];
  /** Why the values have no names; null where they have, or where nothing was to be named. */
  readonly unexplained: string | null;
}

interface Attribute {
  readonly classId: number;
  readonly logicalName: number;
  readonly attributeIndex: number;
}

/** Puts names to values by the catalogue of the standards, without knowing any meter. */
export class Naming {
  readonly #configuration: MappingConfiguration;
  readonly #lists: ScopedLists;
  readonly #limits: DataLimits;

  constructor(limits: DataLimits) {
    this.#configuration = configureMapping(recordsOfCatalogue(loadCatalogue()));
    this.#lists = new CaptureLists(this.#configuration).forAnybody();
    this.#limits = limits;
  }

  /** Throws DecodeError where the body is no Data. */
  ofBody(body: Buffer): Named {
    return this.#named(decodePush(body, { lists: this.#lists, limits: this.#limits }));
  }

  ofTelegram(telegram: Telegram): Named {
    return this.#named(captureTelegram(telegram, this.#lists));
  }

  ofAttribute(attribute: Attribute, value: Data): Named {
    const { classId, logicalName, attributeIndex } = attribute;
    const descriptor = { classId, instanceId: logicalName, attributeId: attributeIndex };
    return this.#named(captureAttribute(descriptor, value, this.#lists));
  }

  /** What the catalogue calls an object's attribute, or null. */
  nameOf(code: string, attribute: number): string | null {
    return this.#configuration.object(code, attribute)?.description ?? null;
  }

  /** Symbol of the unit that the catalogue gives an attribute, or null. */
  unitOf(code: string, attribute: number): string | null {
    return this.#configuration.object(code, attribute)?.unit ?? null;
  }

  #named(push: CapturedPush): Named {
    const rows = capturesOf(push);
    return {
      layout: push.layout,
      values: rows.flat().map((captured) => this.#value(captured)),
      events: [
        ...rows.flatMap((row) => this.#events(row)),
        ...(push.events ?? []).map((e) => this.#event(e)),
      ],
      unexplained: push.problem,
    };
  }

  #value(captured: CapturedValue): NamedValue {
    const { data, attribute, classId, scaler } = captured;
    const obis = formatObis(captured.obis);
    return {
      obis,
      attribute,
      class: classId,
      value: scaledValue(data, scaler),
      unit: captured.unit === null ? null : unitSymbol(captured.unit),
      raw: rawOf(data),
      scaler,
      name: this.nameOf(obis, attribute),
    };
  }

  #event({ log, code, name, time }: CapturedEvent): NamedEvent {
    const known = this.#configuration.event("", log, code);
    const clock = time === null ? null : clockOf(time);
    return {
      ...{ code, name: known?.name ?? name, log, severity: known?.severity ?? null },
      ...{ time: clock === null ? null : isoOf(clock), obis: null },
    };
  }

  #events(row: readonly CapturedValue[]): NamedEvent[] {
    const clock = row.find(({ data }) => clockOf(data) !== null);
    const time = clock === undefined ? null : isoOf(clockOf(clock.data)!);
    return row.flatMap((captured) => {
      const obis = formatObis(captured.obis);
      if (captured.data.type === "bit-string") return this.#bits(obis, captured.data.value, time);
      const log = LOG_OF_CODE_OBJECT.get(obis);
      const code = captured.data.value;
      if (log === undefined || typeof code !== "number") return [];
      const known = this.#configuration.event("", log, code);
      const { name = null, severity = null } = known ?? {};
      return [{ code, name, log, severity, time, obis }];
    });
  }

  #bits(obis: string, bits: { length: number; octets: Buffer }, time: string | null): NamedEvent[] {
    if (!this.#configuration.isStatusWord(obis)) return [];
    const set: NamedEvent[] = [];
    for (let bit = 0; bit < bits.length; bit++) {
      if ((bits.octets[bit >> 3]! & (0x80 >> (bit & 7))) === 0) continue;
      const { name = null, severity = null } = this.#configuration.statusBit("", obis, bit) ?? {};
      set.push({ code: bit, name, log: null, severity, time, obis });
    }
    return set;
  }
}

/** Objects that hold the code of the latest event of a log (IS 15959). */
const LOG_OF_CODE_OBJECT: ReadonlyMap<string, string> = new Map(
  ["voltage", "current", "power", "transaction", "other", "non-rollover", "control"].map((log, index) => [
    `0.0.96.11.${index}.255`,
    log,
  ]),
);

function clockOf(data: Data): CosemDateTime | null {
  if (data.type === "date-time") return readDateTime(data.value, 0);
  return data.type === "octet-string" ? timeIn(data.value) : null;
}

function scaledValue(data: Data, scaler: number | null): unknown {
  const time = clockOf(data);
  if (time !== null) return isoOf(time) ?? rawOf(data);
  if (data.type === "octet-string") return textOf(data.value) ?? data.value.toString("hex");
  const isInteger = data.type !== "float32" && data.type !== "float64";
  if (scaler === null || scaler === 0 || data.type === "enum") return rawOf(data);
  if (typeof data.value === "number" && isInteger) return scaled(data.value, scaler);
  if (typeof data.value === "bigint") return scaledBig(data.value, scaler);
  return rawOf(data);
}

function rawOf(data: Data): unknown {
  return isCompound(data) ? treeOf(data) : plainValue(data);
}
