import { longUnsigned, unsigned } from "./data-codec.ts";
import { logicalName } from "./data-strings.ts";
import { attribute, interfaceClass } from "./interface-class.ts";

export const tcpUdpSetup = interfaceClass({
  classId: 41,
  version: 0,
  name: "TCP-UDP setup",
  attributes: {
    tcpUdpPort: attribute(2, "static", "read-write", longUnsigned),
    /** The IPv4 or IPv6 setup beneath. */
    ipReference: attribute(3, "static", "read-write", logicalName),
    /** Octets. */
    mss: attribute(4, "static", "read-write", longUnsigned),
    nbOfSimConn: attribute(5, "static", "read-write", unsigned),
    /** Seconds; 0: never. */
    inactivityTimeOut: attribute(6, "static", "read-write", longUnsigned),
  },
  methods: {},
});
