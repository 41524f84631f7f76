import {
  anyData,
  doubleLongUnsigned,
  enumerated,
  integer,
  longUnsigned,
  noParameters,
  unsigned,
} from "./data-codec.ts";
import { dateTime, logicalName, octetString } from "./data-strings.ts";
import { array, structure } from "./data-structures.ts";
import { attribute, interfaceClass, method } from "./interface-class.ts";
import { pushObjectDefinition } from "./shared-definitions.ts";

export const transportService = enumerated({
  0: "tcp",
  1: "udp",
  2: "ftp",
  3: "smtp",
  4: "sms",
  5: "hdlc",
  6: "m-bus",
  7: "zigbee",
  8: "dlms-gateway",
  9: "reliable-coap",
  10: "unreliable-coap",
});

export const messageType = enumerated({ 0: "a-xdr", 1: "xml" });

/** `destination` is mostly the text host:port or [IPv6]:port, but some meters hold 4 or 16 octets of address and 2 of port. */
export const sendDestinationAndMethod = structure({
  transportService,
  destination: octetString,
  message: messageType,
});

export const communicationWindow = array(structure({ startTime: dateTime, endTime: dateTime }));

/** What all versions have. Entries of the list have 4 fields in version 0, 5 in version 1 (restriction), 6 since (columns). */
const common = {
  pushObjectList: attribute(2, "static", "read-write", array(pushObjectDefinition)),
  sendDestinationAndMethod: attribute(3, "static", "read-write", sendDestinationAndMethod),
  /** Empty: always. */
  communicationWindow: attribute(4, "static", "read-write", communicationWindow),
  /** Seconds. */
  randomisationStartInterval: attribute(5, "static", "read-write", longUnsigned),
  numberOfRetries: attribute(6, "static", "read-write", unsigned),
};

/** Seconds. */
const repetitionDelay = attribute(7, "static", "read-write", longUnsigned);

const sinceVersion1 = {
  portReference: attribute(8, "static", "read-write", logicalName),
  pushClientSap: attribute(9, "static", "read-write", integer),
  pushProtectionParameters: attribute(10, "static", "read-write", array(anyData)),
};

const declaration = { classId: 40, name: "Push setup" } as const;
const push = method(1, noParameters);

export const pushSetupV0 = interfaceClass({
  ...declaration,
  version: 0,
  attributes: { ...common, repetitionDelay },
  methods: { push },
});

export const pushSetupV1 = interfaceClass({
  ...declaration,
  version: 1,
  attributes: { ...common, repetitionDelay, ...sinceVersion1 },
  methods: { push },
});

export const pushOperationMethod = enumerated({
  0: "unconfirmed-retry-on-supporting-layer-failure",
  1: "unconfirmed-retry-on-missing-supporting-layer-confirmation",
  2: "confirmed-retry-on-missing-confirmation",
});

const sinceVersion2 = {
  attributes: {
    ...common,
    /** Delays between repetitions, seconds; the exponent in hundredths. */
    repetitionDelay: attribute(
      7,
      "static",
      "read-write",
      structure({
        repetitionDelayMin: longUnsigned,
        repetitionDelayExponent: longUnsigned,
        repetitionDelayMax: longUnsigned,
      }),
    ),
    ...sinceVersion1,
    pushOperationMethod: attribute(11, "static", "read-write", pushOperationMethod),
    confirmationParameters: attribute(
      12,
      "static",
      "read-write",
      structure({ confirmationStartDate: dateTime, confirmationInterval: doubleLongUnsigned }),
    ),
    lastConfirmationDateTime: attribute(13, "dynamic", "read", dateTime),
  },
  methods: { push, reset: method(2, noParameters) },
};

export const pushSetupV2 = interfaceClass({ ...declaration, ...sinceVersion2, version: 2 });
export const pushSetupV3 = interfaceClass({ ...declaration, ...sinceVersion2, version: 3 });
