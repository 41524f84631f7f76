import { DecodeError } from "../bytes/errors.ts";
import { dataOfTree } from "../encoding/data-tree.ts";
import type { AccessRights } from "./classes/object-list.ts";
import {
  type MeterModel,
  MODEL_FORMAT,
  MODEL_VERSION,
  type ModelAssociation,
  type ModelAttribute,
  type ModelObject,
} from "./meter-model.ts";
import { type ObisCode, parseObis } from "./obis-code.ts";

/** The model of a file's JSON. @throws DecodeError "invalid", with the place, where it is none */
export function modelFromJson(json: unknown): MeterModel {
  const file = new Place("the file", json);
  if (file.optionalText("format") !== MODEL_FORMAT) {
    throw odd(`the file has no "format": "${MODEL_FORMAT}" and so is no meter model`);
  }
  if (file.number("version") !== MODEL_VERSION) {
    throw odd(`the model has version ${file.number("version")}, only ${MODEL_VERSION} is known`);
  }
  const meter = file.at("meter");
  return {
    readAt: file.text("read_at"),
    meter: {
      meterNumber: meter.optionalText("meter_number"),
      meterType: meter.optionalText("meter_type"),
      manufacturer: meter.optionalText("manufacturer"),
      logicalDeviceName: meter.optionalText("logical_device_name"),
      systemTitle: meter.optionalText("system_title"),
    },
    associations: file.list("associations").map(associationFrom),
    objects: file.list("objects").map(objectFrom),
  };
}

function associationFrom(place: Place): ModelAssociation {
  const conformance = place.text("conformance");
  if (!/^[0-9a-f]{6}$/i.test(conformance)) throw odd(`${place.path}.conformance is not six hex digits`);
  return {
    clientSap: place.number("client_sap"),
    serverSap: place.number("server_sap"),
    version: place.number("version"),
    conformance: Number.parseInt(conformance, 16),
    objectList: place.list("object_list").map((element) => ({
      ...headOf(element),
      accessRights: rightsFrom(element),
    })),
  };
}

function headOf(place: Place) {
  return {
    classId: place.number("class"),
    version: place.number("version"),
    logicalName: place.obis("logical_name"),
  };
}

function rightsFrom(place: Place): AccessRights {
  const selectors = place.has("selectors") ? place.at("selectors") : null;
  return {
    attributeAccess: place.at("attributes").indexed((index, accessMode) => ({
      attributeId: index,
      accessMode: accessMode.own(),
      accessSelectors: selectors?.has(String(index))
        ? selectors.list(String(index)).map((one) => one.own())
        : null,
    })),
    methodAccess: place
      .at("methods")
      .indexed((index, accessMode) => ({ methodId: index, accessMode: accessMode.own() })),
  };
}

function objectFrom(place: Place): ModelObject {
  const attributes = place
    .at("attributes")
    .indexed((index, attribute): [number, ModelAttribute] => [
      index,
      attribute.has("data")
        ? { kind: "data", data: dataOfTree(attribute.value("data"), `${attribute.path}.data`) }
        : { kind: "missing", reason: attribute.text("missing") },
    ]);
  return { ...headOf(place), attributes: new Map(attributes) };
}

const odd = (text: string) => new DecodeError("invalid", 0, text);

/** A value of the file and where it stands, so that what is wrong can be told by its place. */
class Place {
  readonly path: string;
  readonly #value: unknown;

  constructor(path: string, value: unknown) {
    this.path = path;
    this.#value = value;
  }

  #object(): Readonly<Record<string, unknown>> {
    if (typeof this.#value !== "object" || this.#value === null || Array.isArray(this.#value)) {
      throw odd(`${this.path} is no object`);
    }
    return this.#value as Record<string, unknown>;
  }

  has(key: string): boolean {
    return Object.hasOwn(this.#object(), key);
  }

  value(key: string): unknown {
    if (!this.has(key)) throw odd(`${this.path}.${key} is missing`);
    return this.#object()[key];
  }

  at(key: string): Place {
    return new Place(`${this.path}.${key}`, this.value(key));
  }

  list(key: string): Place[] {
    const value = this.value(key);
    if (!Array.isArray(value)) throw odd(`${this.path}.${key} is no list`);
    return value.map((one, index) => new Place(`${this.path}.${key}[${index}]`, one));
  }

  /** The members of an object whose keys are numbers of attributes or methods. */
  indexed<T>(map: (index: number, place: Place) => T): T[] {
    return Object.keys(this.#object()).map((key) => {
      const index = Number(key);
      if (!Number.isInteger(index) || index < -128 || index > 127) {
        throw odd(`${this.path}: ${JSON.stringify(key)} is no number of an attribute or method`);
      }
      return map(index, this.at(key));
    });
  }

  text(key: string): string {
    const value = this.value(key);
    if (typeof value !== "string") throw odd(`${this.path}.${key} is no text`);
    return value;
  }

  optionalText(key: string): string | null {
    return this.has(key) && this.value(key) !== null ? this.text(key) : null;
  }

  number(key: string): number {
    return this.at(key).own();
  }

  /** The value itself, a whole number. */
  own(): number {
    if (!Number.isSafeInteger(this.#value)) throw odd(`${this.path} is no whole number`);
    return this.#value as number;
  }

  obis(key: string): ObisCode {
    const text = this.text(key);
    try {
      return parseObis(text);
    } catch {
      throw odd(`${this.path}.${key}: ${JSON.stringify(text)} is not an OBIS code`);
    }
  }
}
