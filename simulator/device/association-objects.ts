import { ACCESS } from "../../src/dlms/association/meter-objects.ts";
import type { Data } from "../../src/dlms/encoding/data-types.ts";
import { type DeviceModel, type DeviceObject, lastAttributeOf } from "./device-model.ts";
import { askingAs, attributeRights, methodRights } from "./rights.ts";

const u16 = (value: number): Data => ({ type: "long-unsigned", value });
const u8 = (value: number): Data => ({ type: "unsigned", value });
const i8 = (value: number): Data => ({ type: "integer", value });
const enumOf = (value: number): Data => ({ type: "enum", value });
const octets = (value: Buffer): Data => ({ type: "octet-string", value });
const structure = (...value: Data[]): Data => ({ type: "structure", value });
const array = (value: Data[]): Data => ({ type: "array", value });

/** Modes of association LN up to version 2: 0 none, 1 read, 2 write, 3 both. */
const modeOf = (bits: number) => bits & (ACCESS.read | ACCESS.write);

/** attribute 2: every object that this client may do anything with. */
export function objectListOf(model: DeviceModel, clientSap: number): Data {
  const asking = askingAs(model, clientSap);
  const elements = [...model.objects.values()].flatMap((object) => {
    const attributes = Array.from({ length: lastAttributeOf(object) }, (_, at) => at + 1).map(
      (index) => [index, modeOf(attributeRights(object, index, asking))] as const,
    );
    const methods = object.methods.map((index) => [index, methodRights(object, index, asking) ?? 0] as const);
    const nothing = [...attributes, ...methods].every(([, mode]) => mode === 0);
    return nothing ? [] : [element(object, attributes, methods)];
  });
  return array(elements);
}

function element(
  object: DeviceObject,
  attributes: readonly (readonly [number, number])[],
  methods: readonly (readonly [number, number])[],
): Data {
  const selectors = (index: number): Data =>
    object.classId === PROFILE && index === 2 ? array([i8(1), i8(2)]) : { type: "null-data", value: null };
  return structure(
    u16(object.classId),
    u8(object.version),
    octets(Buffer.from(object.logicalName.split(".").map(Number))),
    structure(
      array(attributes.map(([index, mode]) => structure(i8(index), enumOf(mode), selectors(index)))),
      array(methods.map(([index, mode]) => structure(i8(index), enumOf(mode & ACCESS.access)))),
    ),
  );
}

const PROFILE = 7;
const MAX_PDU = 750;
/** Body of the object identifiers 2.16.756.5.8.x. */
const OID = [0x60, 0x85, 0x74, 0x05, 0x08];
/** Security setup of each association, by its number. */
const securitySetup = (logicalName: string) =>
  Buffer.from([0, 0, 43, 0, Number(logicalName.split(".")[4]), 255]);

/** Attributes 3 to 9 of the association of a client; null where it has no such attribute. */
export function associationAttribute(
  { associations }: DeviceModel,
  clientSap: number,
  index: number,
): Data | null {
  const association = associations.find((one) => one.clientSap === clientSap);
  if (association === undefined) return null;
  const { ciphered, mechanism, conformance, logicalName } = association;
  switch (index) {
    case 3:
      return structure(i8(clientSap), u16(1));
    case 4:
      return octets(Buffer.from([...OID, 1, ciphered ? 3 : 1]));
    case 5: {
      const bits = Buffer.from([conformance >> 16, (conformance >> 8) & 0xff, conformance & 0xff]);
      const services: Data = { type: "bit-string", value: { length: 24, octets: bits } };
      return structure(services, u16(MAX_PDU), u16(MAX_PDU), u8(6), i8(0), octets(Buffer.alloc(0)));
    }
    case 6:
      return octets(Buffer.from([...OID, 2, mechanism]));
    case 8:
      return enumOf(2);
    case 9:
      return octets(securitySetup(logicalName));
    default:
      return null;
  }
}
