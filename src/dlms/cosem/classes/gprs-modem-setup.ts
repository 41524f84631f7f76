import { longUnsigned, unsigned } from "./data-codec.ts";
import { text } from "./data-strings.ts";
import { structure } from "./data-structures.ts";
import { attribute, interfaceClass } from "./interface-class.ts";

const qosElement = structure({
  precedence: unsigned,
  delay: unsigned,
  reliability: unsigned,
  peakThroughput: unsigned,
  meanThroughput: unsigned,
});

export const gprsModemSetup = interfaceClass({
  classId: 45,
  version: 0,
  name: "GPRS modem setup",
  attributes: {
    /** The access point's name. */
    apn: attribute(2, "static", "read-write", text),
    pinCode: attribute(3, "static", "read-write", longUnsigned),
    qualityOfService: attribute(
      4,
      "static",
      "read-write",
      structure({ defaultQos: qosElement, requestedQos: qosElement }),
    ),
  },
  methods: {},
});
