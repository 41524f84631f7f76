import { anyData, doubleLongUnsigned, longUnsigned, noParameters } from "./data-codec.ts";
import { dateTime } from "./data-strings.ts";
import { attribute, interfaceClass, method } from "./interface-class.ts";
import { scalUnitType } from "./shared-definitions.ts";

/** The average over `numberOfPeriods` periods of `period` seconds: the one that runs, and the last that ended. */
export const demandRegister = interfaceClass({
  classId: 5,
  version: 0,
  name: "Demand register",
  attributes: {
    currentAverageValue: attribute(2, "dynamic", "read", anyData),
    lastAverageValue: attribute(3, "dynamic", "read", anyData),
    scalerUnit: attribute(4, "static", "read", scalUnitType),
    status: attribute(5, "dynamic", "read", anyData),
    captureTime: attribute(6, "dynamic", "read", dateTime),
    startTimeCurrent: attribute(7, "dynamic", "read", dateTime),
    /** Seconds. */
    period: attribute(8, "static", "read-write", doubleLongUnsigned),
    numberOfPeriods: attribute(9, "static", "read-write", longUnsigned),
  },
  methods: { reset: method(1, noParameters), nextPeriod: method(2, noParameters) },
});
