import {
  anyData,
  doubleLongUnsigned,
  longUnsigned,
  noParameters,
  plainEnum,
  unsigned,
} from "./data-codec.ts";
import { logicalName, octetString } from "./data-strings.ts";
import { array, structure } from "./data-structures.ts";
import { attribute, interfaceClass, method } from "./interface-class.ts";

const attributes = {
  mbusPortReference: attribute(2, "static", "read-write", logicalName),
  captureDefinition: attribute(
    3,
    "static",
    "read-write",
    array(structure({ dataInformationBlock: octetString, valueInformationBlock: octetString })),
  ),
  /** Seconds; 0: captured on an event or by the method. */
  capturePeriod: attribute(4, "static", "read-write", doubleLongUnsigned),
  primaryAddress: attribute(5, "dynamic", "read-write", unsigned),
  identificationNumber: attribute(6, "dynamic", "read-write", doubleLongUnsigned),
  manufacturerId: attribute(7, "dynamic", "read-write", longUnsigned),
  version: attribute(8, "dynamic", "read-write", unsigned),
  deviceType: attribute(9, "dynamic", "read-write", unsigned),
  accessNumber: attribute(10, "dynamic", "read", unsigned),
  status: attribute(11, "dynamic", "read", unsigned),
  alarm: attribute(12, "dynamic", "read", unsigned),
};

const methods = {
  /** The primary address; 0: the meter chooses. */
  slaveInstall: method(1, unsigned),
  slaveDeinstall: method(2, noParameters),
  capture: method(3, noParameters),
  resetAlarm: method(4, noParameters),
  synchronizeClock: method(5, noParameters),
  dataSend: method(
    6,
    array(
      structure({ dataInformationBlock: octetString, valueInformationBlock: octetString, data: anyData }),
    ),
  ),
  setEncryptionKey: method(7, octetString),
  transferKey: method(8, octetString),
};

/** A device of another medium that the meter reads by M-Bus. */
export const mbusClientV0 = interfaceClass({
  classId: 72,
  version: 0,
  name: "M-Bus client",
  attributes,
  methods,
});

export const mbusClient = interfaceClass({
  classId: 72,
  version: 1,
  name: "M-Bus client",
  attributes: {
    ...attributes,
    configuration: attribute(13, "dynamic", "read", longUnsigned),
    encryptionKeyStatus: attribute(14, "dynamic", "read", plainEnum),
  },
  methods,
});
