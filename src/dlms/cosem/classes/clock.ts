import { boolean, enumerated, integer, long, noParameters, unsigned } from "./data-codec.ts";
import { dateTime } from "./data-strings.ts";
import { structure } from "./data-structures.ts";
import { attribute, interfaceClass, method } from "./interface-class.ts";

export const clockBase = enumerated({
  0: "not-defined",
  1: "internal-crystal",
  2: "mains-frequency-50-hz",
  3: "mains-frequency-60-hz",
  4: "gps",
  5: "radio-controlled",
});

export const clock = interfaceClass({
  classId: 8,
  version: 0,
  name: "Clock",
  attributes: {
    time: attribute(2, "dynamic", "read-write", dateTime),
    /** Minutes from local normal time to UTC, as `deviation` in a date-time: UTC+1 is −60. */
    timeZone: attribute(3, "static", "read-write", long),
    /** Bits: 0 invalid value, 1 doubtful value, 2 different clock base, 3 invalid status, 7 daylight saving. */
    status: attribute(4, "dynamic", "read", unsigned),
    daylightSavingsBegin: attribute(5, "static", "read-write", dateTime),
    daylightSavingsEnd: attribute(6, "static", "read-write", dateTime),
    /** Minutes, −120 to 120. */
    daylightSavingsDeviation: attribute(7, "static", "read-write", integer),
    daylightSavingsEnabled: attribute(8, "static", "read-write", boolean),
    clockBase: attribute(9, "static", "read", clockBase),
  },
  methods: {
    adjustToQuarter: method(1, noParameters),
    adjustToMeasuringPeriod: method(2, noParameters),
    adjustToMinute: method(3, noParameters),
    adjustToPresetTime: method(4, noParameters),
    presetAdjustingTime: method(
      5,
      structure({
        presetTime: dateTime,
        validityIntervalStart: dateTime,
        validityIntervalEnd: dateTime,
      }),
    ),
    /** Seconds, −900 to 900. */
    shiftTime: method(6, long),
  },
});
