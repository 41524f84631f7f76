import { anyData, noParameters } from "./data-codec.ts";
import { dateTime } from "./data-strings.ts";
import { attribute, interfaceClass, method } from "./interface-class.ts";
import { scalUnitType } from "./shared-definitions.ts";

/** A register with a status and the time at which its value was captured, such as a maximum demand. */
export const extendedRegister = interfaceClass({
  classId: 4,
  version: 0,
  name: "Extended register",
  attributes: {
    value: attribute(2, "dynamic", "read", anyData),
    scalerUnit: attribute(3, "static", "read", scalUnitType),
    status: attribute(4, "dynamic", "read", anyData),
    captureTime: attribute(5, "dynamic", "read", dateTime),
  },
  methods: { reset: method(1, noParameters) },
});
