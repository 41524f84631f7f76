import { anyData, doubleLongUnsigned, enumerated, noParameters } from "./data-codec.ts";
import { array } from "./data-structures.ts";
import { attribute, interfaceClass, method } from "./interface-class.ts";
import { captureObjectDefinition } from "./shared-definitions.ts";

export const sortMethod = enumerated({
  1: "fifo",
  2: "lifo",
  3: "largest",
  4: "smallest",
  5: "nearest-to-zero",
  6: "farthest-from-zero",
});

/**
 * Rows of captured values. Each element of the buffer is a structure in the order of the capture objects, possibly compressed: see
 * ../profile-buffer.ts. Which rows and columns are read is chosen by ../selective-access.ts.
 */
export const profileGeneric = interfaceClass({
  classId: 7,
  version: 1,
  name: "Profile generic",
  attributes: {
    buffer: attribute(2, "dynamic", "read", array(anyData)),
    captureObjects: attribute(3, "static", "read-write", array(captureObjectDefinition)),
    /** Seconds; 0: captured on an event or by the method. */
    capturePeriod: attribute(4, "static", "read-write", doubleLongUnsigned),
    sortMethod: attribute(5, "static", "read", sortMethod),
    sortObject: attribute(6, "static", "read", captureObjectDefinition),
    entriesInUse: attribute(7, "dynamic", "read", doubleLongUnsigned),
    /** Rows that the buffer can hold. */
    profileEntries: attribute(8, "static", "read-write", doubleLongUnsigned),
  },
  methods: { reset: method(1, noParameters), capture: method(2, noParameters) },
});
