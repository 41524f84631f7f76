import { anyData } from "./data-codec.ts";
import { array, structure } from "./data-structures.ts";
import { attribute, interfaceClass } from "./interface-class.ts";
import { actionItem, valueDefinition } from "./shared-definitions.ts";

/** Executes a script where a value crosses a threshold; actions[n] belongs to thresholds[n]. */
export const registerMonitor = interfaceClass({
  classId: 21,
  version: 0,
  name: "Register monitor",
  attributes: {
    thresholds: attribute(2, "static", "read-write", array(anyData)),
    monitoredValue: attribute(3, "static", "read-write", valueDefinition),
    actions: attribute(
      4,
      "static",
      "read-write",
      array(structure({ actionUp: actionItem, actionDown: actionItem })),
    ),
  },
  methods: {},
});
