import { anyData, noParameters } from "./data-codec.ts";
import { attribute, interfaceClass, method } from "./interface-class.ts";
import { scalUnitType } from "./shared-definitions.ts";

/** value × 10^scaler in the unit; reset sets it to its default. */
export const register = interfaceClass({
  classId: 3,
  version: 0,
  name: "Register",
  attributes: {
    value: attribute(2, "dynamic", "read", anyData),
    scalerUnit: attribute(3, "static", "read", scalUnitType),
  },
  methods: { reset: method(1, noParameters) },
});
