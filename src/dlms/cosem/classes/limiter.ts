import { anyData, boolean, doubleLongUnsigned, longUnsigned } from "./data-codec.ts";
import { dateTime } from "./data-strings.ts";
import { array, structure } from "./data-structures.ts";
import { attribute, interfaceClass } from "./interface-class.ts";
import { actionItem, valueDefinition } from "./shared-definitions.ts";

/** Executes a script where a value stays over, or back under, a threshold for a time. Thresholds have the type of the value. */
export const limiter = interfaceClass({
  classId: 71,
  version: 0,
  name: "Limiter",
  attributes: {
    monitoredValue: attribute(2, "static", "read-write", valueDefinition),
    thresholdActive: attribute(3, "dynamic", "read", anyData),
    thresholdNormal: attribute(4, "static", "read-write", anyData),
    thresholdEmergency: attribute(5, "static", "read-write", anyData),
    /** Seconds. */
    minOverThresholdDuration: attribute(6, "static", "read-write", doubleLongUnsigned),
    /** Seconds. */
    minUnderThresholdDuration: attribute(7, "static", "read-write", doubleLongUnsigned),
    emergencyProfile: attribute(
      8,
      "static",
      "read-write",
      structure({
        emergencyProfileId: longUnsigned,
        emergencyActivationTime: dateTime,
        /** Seconds. */
        emergencyDuration: doubleLongUnsigned,
      }),
    ),
    emergencyProfileGroupIdList: attribute(9, "static", "read-write", array(longUnsigned)),
    emergencyProfileActive: attribute(10, "dynamic", "read", boolean),
    actions: attribute(
      11,
      "static",
      "read-write",
      structure({ actionOverThreshold: actionItem, actionUnderThreshold: actionItem }),
    ),
  },
  methods: {},
});
