import { enumerated, longUnsigned, unsigned } from "./data-codec.ts";
import { attribute, interfaceClass } from "./interface-class.ts";

/** Baud. */
export const commSpeed = enumerated({
  0: "300",
  1: "600",
  2: "1200",
  3: "2400",
  4: "4800",
  5: "9600",
  6: "19200",
  7: "38400",
  8: "57600",
  9: "115200",
});

const declaration = {
  classId: 23,
  name: "IEC HDLC setup",
  attributes: {
    commSpeed: attribute(2, "static", "read-write", commSpeed),
    windowSizeTransmit: attribute(3, "static", "read-write", unsigned),
    windowSizeReceive: attribute(4, "static", "read-write", unsigned),
    /** Octets. */
    maxInfoFieldLengthTransmit: attribute(5, "static", "read-write", longUnsigned),
    maxInfoFieldLengthReceive: attribute(6, "static", "read-write", longUnsigned),
    /** Milliseconds. */
    interOctetTimeOut: attribute(7, "static", "read-write", longUnsigned),
    /** Seconds; 0: never. */
    inactivityTimeOut: attribute(8, "static", "read-write", longUnsigned),
    deviceAddress: attribute(9, "static", "read-write", longUnsigned),
  },
  methods: {},
};

/** Version 1 allows longer information fields and inter-octet times; its attributes are those of version 0. */
export const iecHdlcSetup = interfaceClass({ ...declaration, version: 1 });
export const iecHdlcSetupV0 = interfaceClass({ ...declaration, version: 0 });
