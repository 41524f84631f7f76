import { attributeValue } from "../dlms/cosem/classes/interface-class.ts";
import { scriptTable } from "../dlms/cosem/classes/script-table.ts";
import { actionItem } from "../dlms/cosem/classes/shared-definitions.ts";
import {
  singleActionSchedule,
  singleActionScheduleType,
} from "../dlms/cosem/classes/single-action-schedule.ts";
import { formatObis, obisOf, parseObis } from "../dlms/cosem/obis-code.ts";
import type { Data } from "../dlms/encoding/data-types.ts";
import type { CosemDateTime } from "../dlms/encoding/date-time.ts";
import { type ConfiguredActionSchedule, PushConfigurationError } from "./push-configuration.ts";
import { formatTimePattern, parseTimePattern } from "./time-pattern.ts";
import type { WantedAttribute } from "./wanted-attribute.ts";

/** The push script table, whose scripts call the push setups' method. */
export const PUSH_SCRIPTS = obisOf(0, 0, 10, 0, 108, 255);
const PUSH_SETUP_CLASS = 40;

/**
 * The attributes of a single action schedule, in the order in which they are to be written. `scripts` is attribute 2 of the meter's push
 * script table, null where it has none or it can't be read: then which script is executed is left as it is.
 * @throws PushConfigurationError
 */
export function wantedOfActionSchedule(
  schedule: ConfiguredActionSchedule,
  scripts: Data | null,
): WantedAttribute[] {
  const times = schedule.executionTimes.map((text) => timeOf(schedule, text));
  return [scriptAttribute(schedule, scripts), typeAttribute(times), timesAttribute(times)];
}

function timeOf(schedule: ConfiguredActionSchedule, text: string): CosemDateTime {
  try {
    return parseTimePattern(text);
  } catch (error) {
    throw new PushConfigurationError(
      `schedule ${schedule.name}: execution_times: ${(error as Error).message}`,
    );
  }
}

function scriptAttribute(schedule: ConfiguredActionSchedule, scripts: Data | null): WantedAttribute {
  const head = { index: 2, name: "executed_script", describe: describeScript };
  const selector = scripts === null ? null : selectorOf(schedule, scripts);
  if (selector === null) {
    const why =
      scripts === null
        ? `the meter's push script table ${formatObis(PUSH_SCRIPTS)} could not be read`
        : `no script of ${formatObis(PUSH_SCRIPTS)} pushes ${schedule.pushSetup}`;
    return { ...head, expected: [], build: null, problem: `${why}, so that the script is left as it is` };
  }
  const data = actionItem.write({ scriptLogicalName: PUSH_SCRIPTS, scriptSelector: selector });
  return { ...head, expected: describeScript(data), build: () => data, problem: null };
}

/** The script that calls method 1 of the push setup. */
function selectorOf(schedule: ConfiguredActionSchedule, scripts: Data): number | null {
  const setup = parseObis(schedule.pushSetup);
  const found = attributeValue(scriptTable, "scripts", scripts).find(({ actions }) =>
    actions.some((a) => a.classId === PUSH_SETUP_CLASS && a.logicalName === setup && a.index === 1),
  );
  return found?.scriptIdentifier ?? null;
}

function describeScript(data: Data): string[] {
  const { scriptLogicalName, scriptSelector } = actionItem.read(data);
  return [`script ${scriptSelector} of ${formatObis(scriptLogicalName)}`];
}

/** The type follows from the times: one or several, at one time of the day or at several, with wildcards in the date or not. */
function typeAttribute(times: readonly CosemDateTime[]): WantedAttribute {
  const wildcards = times.some(({ year, month, dayOfMonth }) => [year, month, dayOfMonth].includes(null));
  const clockTimes = new Set(times.map(({ hour, minute, second }) => `${hour}:${minute}:${second}`));
  const several = clockTimes.size > 1 ? (wildcards ? 5 : 4) : wildcards ? 3 : 2;
  const data: Data = { type: "enum", value: times.length === 1 ? 1 : several };
  const describe = (found: Data) => [String(singleActionScheduleType.read(found))];
  return { index: 3, name: "type", expected: describe(data), build: () => data, describe, problem: null };
}

function timesAttribute(times: readonly CosemDateTime[]): WantedAttribute {
  const { codec } = singleActionSchedule.attributes.executionTime;
  const data = codec.write(times.map((time) => ({ time, date: time })));
  return {
    index: 4,
    name: "execution_time",
    expected: describeTimes(data),
    build: () => data,
    describe: describeTimes,
    problem: null,
  };
}

/** In the order of the day, for the order in the meter makes no difference. */
function describeTimes(data: Data): string[] {
  return attributeValue(singleActionSchedule, "executionTime", data)
    .map(({ time, date }) =>
      formatTimePattern({
        ...date,
        ...{ hour: time.hour, minute: time.minute, second: time.second, hundredths: time.hundredths },
      }),
    )
    .sort();
}
