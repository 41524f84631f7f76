import { anyData } from "./data-codec.ts";
import { attribute, interfaceClass } from "./interface-class.ts";

/** One value of any type. */
export const data = interfaceClass({
  classId: 1,
  version: 0,
  name: "Data",
  attributes: { value: attribute(2, "dynamic", "read-write", anyData) },
  methods: {},
});
