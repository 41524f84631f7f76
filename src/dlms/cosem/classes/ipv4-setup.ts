import { boolean, doubleLongUnsigned, noParameters, unsigned } from "./data-codec.ts";
import { logicalName, octetString } from "./data-strings.ts";
import { array, structure } from "./data-structures.ts";
import { attribute, interfaceClass, method } from "./interface-class.ts";

/** Addresses are numbers of 32 bits, the first octet the most significant: 10.0.0.5 is 0x0A000005. */
export const ipv4Setup = interfaceClass({
  classId: 42,
  version: 0,
  name: "IPv4 setup",
  attributes: {
    dlReference: attribute(2, "static", "read-write", logicalName),
    ipAddress: attribute(3, "dynamic", "read-write", doubleLongUnsigned),
    multicastIpAddress: attribute(4, "static", "read-write", array(doubleLongUnsigned)),
    ipOptions: attribute(
      5,
      "static",
      "read-write",
      array(structure({ ipOptionType: unsigned, ipOptionLength: unsigned, ipOptionData: octetString })),
    ),
    subnetMask: attribute(6, "dynamic", "read-write", doubleLongUnsigned),
    gatewayIpAddress: attribute(7, "dynamic", "read-write", doubleLongUnsigned),
    useDhcpFlag: attribute(8, "static", "read-write", boolean),
    primaryDnsAddress: attribute(9, "dynamic", "read-write", doubleLongUnsigned),
    secondaryDnsAddress: attribute(10, "dynamic", "read-write", doubleLongUnsigned),
  },
  methods: {
    addMcIpAddress: method(1, doubleLongUnsigned),
    deleteMcIpAddress: method(2, doubleLongUnsigned),
    getNbofMcIpAddresses: method(3, noParameters),
  },
});
