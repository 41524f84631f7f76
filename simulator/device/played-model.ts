import type { Mechanism } from "../../src/dlms/association/mechanisms.ts";
import { attributeAccessBits, methodAccessBits } from "../../src/dlms/cosem/classes/object-list.ts";
import type { MeterModel, ModelAssociation, ModelObject } from "../../src/dlms/cosem/meter-model.ts";
import { formatObis } from "../../src/dlms/cosem/obis-code.ts";
import type { Data } from "../../src/dlms/encoding/data-types.ts";
import {
  CURRENT_ASSOCIATION,
  type DeviceAssociation,
  type DeviceModel,
  type DeviceObject,
  objectKey,
} from "./device-model.ts";

/** Bits of the security control that requests of a ciphered context must have here: the file doesn't say. */
const ENCRYPTED = 0x20;
const CIPHERED_CONTEXT = 3;
const ASSOCIATION_LN = 15;

/** A meter that was read with `hes read --all`, as a device: what it held, and what each of its clients may do. */
export function playedDevice(model: MeterModel): DeviceModel {
  const rights = new Map<string, Map<number, ClientRights>>();
  for (const { clientSap, version, objectList } of model.associations) {
    for (const { classId, logicalName, accessRights } of objectList) {
      const key = objectKey(classId, formatObis(logicalName));
      const of = rights.get(key) ?? new Map<number, ClientRights>();
      of.set(clientSap, {
        attributes: new Map(
          accessRights.attributeAccess.map((one) => [
            one.attributeId,
            attributeAccessBits(version, one.accessMode),
          ]),
        ),
        methods: new Map(
          accessRights.methodAccess.map((one) => [one.methodId, methodAccessBits(version, one.accessMode)]),
        ),
      });
      rights.set(key, of);
    }
  }
  const objects = model.objects.map((object): [string, DeviceObject] => {
    const key = objectKey(object.classId, formatObis(object.logicalName));
    return [key, deviceObject(object, rights.get(key) ?? new Map())];
  });
  return {
    associations: model.associations.map((one) => associationOf(one, model.objects)),
    objects: new Map(objects),
  };
}

type ClientRights = NonNullable<DeviceObject["rights"]> extends ReadonlyMap<number, infer R> ? R : never;

function deviceObject(object: ModelObject, rights: ReadonlyMap<number, ClientRights>): DeviceObject {
  const attributes = new Map<number, Data>();
  for (const [index, attribute] of object.attributes) {
    if (attribute.kind === "data") attributes.set(index, attribute.data);
  }
  const methods = new Set([...rights.values()].flatMap(({ methods: all }) => [...all.keys()]));
  return {
    ...{ classId: object.classId, version: object.version, logicalName: formatObis(object.logicalName) },
    ...{
      attributes,
      cells: new Map(),
      profile: null,
      isPublic: false,
      writable: [],
      methods: [...methods],
      rights,
    },
  };
}

/** Context and mechanism stand in the association object whose partner the client is; without one they are taken to be the simplest. */
function associationOf(
  { clientSap, conformance }: ModelAssociation,
  objects: readonly ModelObject[],
): DeviceAssociation {
  // The current association has the partner that read it; the client's own object, where there is one, says more.
  const own = objects
    .filter((object) => object.classId === ASSOCIATION_LN && partnerOf(object) === clientSap)
    .sort((a, b) => Number(isCurrent(a)) - Number(isCurrent(b)))[0];
  const ciphered = own !== undefined && lastOctet(own, 4) === CIPHERED_CONTEXT;
  const mechanism = own === undefined ? 0 : lastOctet(own, 6);
  return {
    name: `client ${clientSap}`,
    clientSap,
    logicalName: own === undefined ? "0.0.40.0.0.255" : formatObis(own.logicalName),
    mechanism: (mechanism <= 6 ? mechanism : 0) as Mechanism,
    ciphered,
    required: ciphered ? ENCRYPTED : 0,
    conformance,
    preEstablished: false,
    role: "utility",
  };
}

const isCurrent = ({ logicalName }: ModelObject) => formatObis(logicalName) === CURRENT_ASSOCIATION;

function dataOf({ attributes }: ModelObject, index: number): Data | null {
  const attribute = attributes.get(index);
  return attribute?.kind === "data" ? attribute.data : null;
}

function partnerOf(object: ModelObject): number | null {
  const partners = dataOf(object, 3);
  const client = partners?.type === "structure" ? partners.value[0]?.value : null;
  return typeof client === "number" ? client : null;
}

/** Names of contexts and mechanisms are object identifiers, as octets or as a structure of numbers; the last number tells. */
function lastOctet(object: ModelObject, index: number): number {
  const name = dataOf(object, index);
  if (name?.type === "octet-string") return name.value.at(-1) ?? 0;
  const last = name?.type === "structure" ? name.value.at(-1)?.value : 0;
  return typeof last === "number" ? last : 0;
}
