import { longUnsigned, noParameters, unsigned } from "./data-codec.ts";
import { dateTime, logicalName, octetString, time } from "./data-strings.ts";
import { array, structure } from "./data-structures.ts";
import { attribute, interfaceClass, method } from "./interface-class.ts";

export const seasonProfile = array(
  structure({ seasonProfileName: octetString, seasonStart: dateTime, weekName: octetString }),
);

/** A day profile for each day of a week. */
export const weekProfileTable = array(
  structure({
    weekProfileName: octetString,
    monday: unsigned,
    tuesday: unsigned,
    wednesday: unsigned,
    thursday: unsigned,
    friday: unsigned,
    saturday: unsigned,
    sunday: unsigned,
  }),
);

export const dayProfileTable = array(
  structure({
    dayId: unsigned,
    daySchedule: array(
      structure({ startTime: time, scriptLogicalName: logicalName, scriptSelector: longUnsigned }),
    ),
  }),
);

/** When which tariff applies: the active calendar, and the passive one that is prepared and takes its place at a time. */
export const activityCalendar = interfaceClass({
  classId: 20,
  version: 0,
  name: "Activity calendar",
  attributes: {
    calendarNameActive: attribute(2, "static", "read", octetString),
    seasonProfileActive: attribute(3, "static", "read", seasonProfile),
    weekProfileTableActive: attribute(4, "static", "read", weekProfileTable),
    dayProfileTableActive: attribute(5, "static", "read", dayProfileTable),
    calendarNamePassive: attribute(6, "static", "read-write", octetString),
    seasonProfilePassive: attribute(7, "static", "read-write", seasonProfile),
    weekProfileTablePassive: attribute(8, "static", "read-write", weekProfileTable),
    dayProfileTablePassive: attribute(9, "static", "read-write", dayProfileTable),
    activatePassiveCalendarTime: attribute(10, "static", "read-write", dateTime),
  },
  methods: { activatePassiveCalendar: method(1, noParameters) },
});
