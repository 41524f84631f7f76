import { longUnsigned, unsigned } from "./data-codec.ts";
import { date } from "./data-strings.ts";
import { array, structure } from "./data-structures.ts";
import { attribute, interfaceClass, method } from "./interface-class.ts";

export const specialDayEntry = structure({
  index: longUnsigned,
  specialDayDate: date,
  /** Of a day profile in the activity calendar. */
  dayId: unsigned,
});

export const specialDaysTable = interfaceClass({
  classId: 11,
  version: 0,
  name: "Special days table",
  attributes: { entries: attribute(2, "static", "read-write", array(specialDayEntry)) },
  methods: { insert: method(1, specialDayEntry), delete: method(2, longUnsigned) },
});
