import { enumerated } from "./data-codec.ts";
import { date, time } from "./data-strings.ts";
import { array, structure } from "./data-structures.ts";
import { attribute, interfaceClass } from "./interface-class.ts";
import { actionItem } from "./shared-definitions.ts";

/** How many execution times there are, whether they share the time of day, and whether the dates may have wildcards. */
export const singleActionScheduleType = enumerated({
  1: "one-entry-wildcards",
  2: "same-time-no-wildcards",
  3: "same-time-wildcards",
  4: "different-times-no-wildcards",
  5: "different-times-wildcards",
});

/** One of executionTime; fields that are unspecified are wildcards. */
export const executionTimeDate = structure({ time, date });

export const singleActionSchedule = interfaceClass({
  classId: 22,
  version: 0,
  name: "Single action schedule",
  attributes: {
    executedScript: attribute(2, "static", "read-write", actionItem),
    type: attribute(3, "static", "read-write", singleActionScheduleType),
    executionTime: attribute(4, "static", "read-write", array(executionTimeDate)),
  },
  methods: {},
});
