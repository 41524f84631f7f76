import { bitString, boolean, longUnsigned } from "./data-codec.ts";
import { date, logicalName, time } from "./data-strings.ts";
import { array, structure } from "./data-structures.ts";
import { attribute, interfaceClass, method } from "./interface-class.ts";

export const scheduleTableEntry = structure({
  index: longUnsigned,
  enable: boolean,
  scriptLogicalName: logicalName,
  scriptSelector: longUnsigned,
  switchTime: time,
  /** Minutes after switchTime in which it is still done when the power comes back; FFFF: whenever. */
  validityWindow: longUnsigned,
  /** Seven bits from Monday. */
  execWeekdays: bitString,
  /** One bit a day_id of the special days table. */
  execSpecdays: bitString,
  beginDate: date,
  endDate: date,
});

export const schedule = interfaceClass({
  classId: 10,
  version: 0,
  name: "Schedule",
  attributes: { entries: attribute(2, "static", "read-write", array(scheduleTableEntry)) },
  methods: {
    /** Disables the entries from A to A and enables those from B to B; 0 to 0: none. */
    enableDisable: method(
      1,
      structure({
        firstIndexA: longUnsigned,
        lastIndexA: longUnsigned,
        firstIndexB: longUnsigned,
        lastIndexB: longUnsigned,
      }),
    ),
    insert: method(2, scheduleTableEntry),
    delete: method(3, structure({ firstIndex: longUnsigned, lastIndex: longUnsigned })),
  },
});
