import { type Tree, treeOf } from "../encoding/data-tree.ts";
import type { Data } from "../encoding/data-types.ts";
import type { AccessRights, ObjectListElement } from "./classes/object-list.ts";
import { formatObis, type ObisCode } from "./obis-code.ts";

/**
 * A logical device as it was read through one or more associations: `hes read --all` writes such a file, and a simulated meter plays it.
 * The format is docs/reference/meter-model.md.
 */
export interface MeterModel {
  /** ISO 8601, UTC. */
  readonly readAt: string;
  readonly meter: ModelIdentity;
  readonly associations: readonly ModelAssociation[];
  readonly objects: readonly ModelObject[];
}

/** Who it was; null where it isn't known. */
export interface ModelIdentity {
  readonly meterNumber: string | null;
  readonly meterType: string | null;
  readonly manufacturer: string | null;
  readonly logicalDeviceName: string | null;
  /** 16 hex digits. */
  readonly systemTitle: string | null;
}

export interface ModelAssociation {
  readonly clientSap: number;
  readonly serverSap: number;
  /** Version of association LN, which says what access modes mean. */
  readonly version: number;
  /** As negotiated: 24 bits. */
  readonly conformance: number;
  readonly objectList: readonly ObjectListElement[];
}

export interface ModelObject {
  readonly classId: number;
  readonly version: number;
  readonly logicalName: ObisCode;
  /** By attribute, from 1. */
  readonly attributes: ReadonlyMap<number, ModelAttribute>;
}

export type ModelAttribute =
  | { readonly kind: "data"; readonly data: Data }
  /** What the meter answered, or why it wasn't read. */
  | { readonly kind: "missing"; readonly reason: string };

export const MODEL_FORMAT = "dlms-hes meter model";
export const MODEL_VERSION = 1;

/** The model as it stands in the file, to be written with JSON.stringify. */
export function modelToJson(model: MeterModel): unknown {
  return {
    format: MODEL_FORMAT,
    version: MODEL_VERSION,
    read_at: model.readAt,
    meter: {
      meter_number: model.meter.meterNumber,
      meter_type: model.meter.meterType,
      manufacturer: model.meter.manufacturer,
      logical_device_name: model.meter.logicalDeviceName,
      system_title: model.meter.systemTitle,
    },
    associations: model.associations.map((one) => ({
      client_sap: one.clientSap,
      server_sap: one.serverSap,
      version: one.version,
      conformance: one.conformance.toString(16).padStart(6, "0"),
      object_list: one.objectList.map((element) => ({
        class: element.classId,
        version: element.version,
        logical_name: formatObis(element.logicalName),
        ...rightsToJson(element.accessRights),
      })),
    })),
    objects: model.objects.map((object) => ({
      class: object.classId,
      version: object.version,
      logical_name: formatObis(object.logicalName),
      attributes: Object.fromEntries(
        [...object.attributes].map(([index, one]) => [index, attributeToJson(one)]),
      ),
    })),
  };
}

function rightsToJson({ attributeAccess, methodAccess }: AccessRights) {
  const selectors = attributeAccess.flatMap(({ attributeId, accessSelectors }) =>
    accessSelectors === null ? [] : [[attributeId, accessSelectors]],
  );
  return {
    attributes: Object.fromEntries(attributeAccess.map((item) => [item.attributeId, item.accessMode])),
    methods: Object.fromEntries(methodAccess.map((item) => [item.methodId, item.accessMode])),
    ...(selectors.length === 0 ? {} : { selectors: Object.fromEntries(selectors) }),
  };
}

function attributeToJson(attribute: ModelAttribute): { data: Tree } | { missing: string } {
  return attribute.kind === "data" ? { data: treeOf(attribute.data) } : { missing: attribute.reason };
}
