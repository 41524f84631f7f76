import { longUnsigned } from "./data-codec.ts";
import { text } from "./data-strings.ts";
import { array, structure } from "./data-structures.ts";
import { attribute, interfaceClass, method } from "./interface-class.ts";

export const asslistElement = structure({ sap: longUnsigned, logicalDeviceName: text });

/** The logical devices of a physical one, and the SAP of each. */
export const sapAssignment = interfaceClass({
  classId: 17,
  version: 0,
  name: "SAP assignment",
  attributes: { sapAssignmentList: attribute(2, "static", "read", array(asslistElement)) },
  methods: { connectLogicalDevice: method(1, asslistElement) },
});
