import { Reader } from "../dlms/bytes/reader.ts";
import type { InterfaceClass } from "../dlms/cosem/classes/interface-class.ts";
import { attributeValue } from "../dlms/cosem/classes/interface-class.ts";
import {
  communicationWindow,
  messageType,
  pushSetupV0,
  pushSetupV1,
  pushSetupV2,
  pushSetupV3,
  sendDestinationAndMethod,
  transportService,
} from "../dlms/cosem/classes/push-setup.ts";
import { formatObis, parseObis } from "../dlms/cosem/obis-code.ts";
import { type PushObject, pushObjectToData } from "../dlms/cosem/push-object.ts";
import { readData } from "../dlms/encoding/data.ts";
import { treeOf } from "../dlms/encoding/data-tree.ts";
import type { Data } from "../dlms/encoding/data-types.ts";
import {
  type ConfiguredEntry,
  type ConfiguredPushSetup,
  PushConfigurationError,
} from "./push-configuration.ts";
import { destinationOctets, destinationText } from "./push-destination.ts";
import { formatTimePattern, parseTimePattern } from "./time-pattern.ts";
import type { WantedAttribute } from "./wanted-attribute.ts";

const BY_VERSION: readonly InterfaceClass[] = [pushSetupV0, pushSetupV1, pushSetupV2, pushSetupV3];

/** Versions of class 40 that are known. */
export const isKnownPushSetup = (version: number): boolean => BY_VERSION[version] !== undefined;

/**
 * The attributes of a push setup object that are configured, in the order in which they are to be written: what is sent, how often it is
 * tried, and where to last, so that nothing is sent to a new destination that isn't whole.
 * @throws PushConfigurationError
 */
export function wantedOfPushSetup(setup: ConfiguredPushSetup, version: number): WantedAttribute[] {
  const wanted: WantedAttribute[] = [];
  const list = listOf(setup, version);
  if (list !== null) wanted.push(list);
  const {
    randomisationStartIntervalSeconds: randomisation,
    numberOfRetries: retries,
    repetitionDelaySeconds: delay,
    communicationWindows: windows,
  } = setup;
  if (randomisation !== null) {
    wanted.push(numberAttribute(setup, 5, "randomisation_start_interval", "long-unsigned", randomisation));
  }
  if (retries !== null) wanted.push(numberAttribute(setup, 6, "number_of_retries", "unsigned", retries));
  if (delay !== null) wanted.push(delayAttribute(setup, version, delay));
  if (windows !== null) wanted.push(windowAttribute(setup, windows));
  wanted.push(destinationAttribute(setup));
  return wanted;
}

/** The device id and the push setup's own name, which IS 15959 has in front of the values. */
const HEAD_OF_IS15959: readonly ConfiguredEntry[] = [entry(1, "0.0.96.1.2.255", 2)];

function entry(classId: number, logicalName: string, attribute: number): ConfiguredEntry {
  return { classId, logicalName, attribute, dataIndex: 0, restriction: null };
}

const PUSH_SETUP_CLASS = 40;

/**
 * The list that is meant. The tables hold what stands behind the head of an IS 15959 push, which is added here; a list that has its
 * own push setup in it is taken as it is.
 */
function listOf(setup: ConfiguredPushSetup, version: number): WantedAttribute | null {
  if (setup.lists.length === 0) return null;
  const name = "push_object_list";
  if (setup.lists.length > 1) {
    const names = setup.lists.map((list) => JSON.stringify(list.name)).join(", ");
    return {
      ...{ index: 2, name, expected: [], build: null, describe: describeList },
      problem: `push_objects has ${setup.lists.length} lists for it (${names}); which one is meant is not said: enable one only`,
    };
  }
  const { entries } = setup.lists[0]!;
  const hasHead = entries.some(({ classId }) => classId === PUSH_SETUP_CLASS);
  const withHead = setup.standard === "is15959" && !hasHead;
  const whole = withHead
    ? [...HEAD_OF_IS15959, entry(PUSH_SETUP_CLASS, setup.logicalName, 1), ...entries]
    : entries;
  const data: Data = {
    type: "array",
    value: whole.map((one) =>
      mustFit(setup, `push_objects ${one.logicalName}`, () =>
        pushObjectToData(pushObjectOf(setup, one, version)),
      ),
    ),
  };
  return {
    index: 2,
    name,
    expected: describeList(data),
    build: () => data,
    describe: describeList,
    problem: null,
  };
}

const NO_RESTRICTION: Data = {
  type: "structure",
  value: [
    { type: "enum", value: 0 },
    { type: "null-data", value: null },
  ],
};
const NO_COLUMNS: Data = { type: "array", value: [] };
const RESTRICTION_LIMITS = { depthMax: 4, elementsMax: 16 };

function pushObjectOf(setup: ConfiguredPushSetup, one: ConfiguredEntry, version: number): PushObject {
  if (one.restriction !== null && version === 0) {
    throw new PushConfigurationError(
      `push setup ${setup.name}: ${one.logicalName} has a restriction, which this meter's version 0 of the class doesn't know`,
    );
  }
  const restriction =
    one.restriction === null ? NO_RESTRICTION : readData(new Reader(one.restriction), RESTRICTION_LIMITS);
  return {
    classId: one.classId,
    logicalName: parseObis(one.logicalName),
    attributeIndex: one.attribute,
    dataIndex: one.dataIndex,
    restriction: version >= 1 ? restriction : null,
    columns: version >= 2 ? NO_COLUMNS : null,
  };
}

/** "8/0.0.1.0.0.255/2": class, logical name, attribute, and data index and restriction where there are any. */
function describeList(data: Data): string[] {
  return attributeValue(pushSetupV0, "pushObjectList", data).map((one) => {
    const index = one.dataIndex === 0 ? "" : ` data_index ${one.dataIndex}`;
    const text = `${one.classId}/${formatObis(one.logicalName)}/${one.attributeIndex}${index}`;
    return isNone(one.restriction) ? text : `${text} restriction ${JSON.stringify(treeOf(one.restriction!))}`;
  });
}

function isNone(restriction: Data | null): boolean {
  if (restriction === null || restriction.type === "null-data") return true;
  return restriction.type === "structure" && restriction.value[0]?.value === 0;
}

function numberAttribute(
  setup: ConfiguredPushSetup,
  index: number,
  name: string,
  type: "long-unsigned" | "unsigned",
  value: number,
): WantedAttribute {
  const { codec } = pushSetupV0.byIndex[index]!;
  mustFit(setup, name, () => codec.write(value));
  return {
    ...{ index, name, expected: [String(value)], problem: null },
    build: () => ({ type, value }),
    describe: (data) => [String(codec.read(data))],
  };
}

/** Since version 2 the delay grows: what is configured is its least; exponent and most are left as the meter has them. */
function delayAttribute(setup: ConfiguredPushSetup, version: number, seconds: number): WantedAttribute {
  if (version < 2) return numberAttribute(setup, 7, "repetition_delay", "long-unsigned", seconds);
  const { codec } = pushSetupV2.attributes.repetitionDelay;
  const grown = (found: Data | null) => {
    const now = found === null ? null : codec.read(found);
    return {
      repetitionDelayMin: seconds,
      repetitionDelayExponent: now?.repetitionDelayExponent ?? 100,
      repetitionDelayMax: Math.max(now?.repetitionDelayMax ?? seconds, seconds),
    };
  };
  mustFit(setup, "repetition_delay", () => codec.write(grown(null)));
  return {
    ...{ index: 7, name: "repetition_delay", expected: [String(seconds)], problem: null },
    build: (found) => codec.write(grown(found)),
    describe: (data) => [String(codec.read(data).repetitionDelayMin)],
  };
}

function windowAttribute(
  setup: ConfiguredPushSetup,
  windows: NonNullable<ConfiguredPushSetup["communicationWindows"]>,
): WantedAttribute {
  const data = mustFit(setup, "communication_windows", () =>
    communicationWindow.write(
      windows.map(({ start, end }) => ({
        startTime: parseTimePattern(start),
        endTime: parseTimePattern(end),
      })),
    ),
  );
  const describe = (found: Data) =>
    communicationWindow
      .read(found)
      .map(({ startTime, endTime }) => `${formatTimePattern(startTime)} – ${formatTimePattern(endTime)}`);
  return {
    ...{ index: 4, name: "communication_window", expected: describe(data), problem: null },
    build: () => data,
    describe,
  };
}

function destinationAttribute(setup: ConfiguredPushSetup): WantedAttribute {
  const meant = {
    transportService: setup.transportService ?? "tcp",
    message: setup.messageType ?? "a-xdr",
  };
  mustFit(setup, "transport_service", () => transportService.write(meant.transportService as "tcp"));
  mustFit(setup, "message_type", () => messageType.write(meant.message as "a-xdr"));
  const describe = (data: Data) => {
    const found = sendDestinationAndMethod.read(data);
    return [`${found.transportService} ${destinationText(found.destination)} ${found.message}`];
  };
  return {
    ...{ index: 3, name: "send_destination_and_method", problem: null },
    expected: [`${meant.transportService} ${setup.destination} ${meant.message}`],
    build: (found) =>
      sendDestinationAndMethod.write({
        transportService: meant.transportService as "tcp",
        destination: destinationOctets(
          setup.destination,
          found === null ? null : sendDestinationAndMethod.read(found).destination,
        ),
        message: meant.message as "a-xdr",
      }),
    describe,
  };
}

/** What the tables hold must fit into the class's types. @throws PushConfigurationError */
function mustFit<T>(setup: ConfiguredPushSetup, column: string, build: () => T): T {
  try {
    return build();
  } catch (error) {
    if (error instanceof PushConfigurationError) throw error;
    throw new PushConfigurationError(`push setup ${setup.name}: ${column}: ${(error as Error).message}`);
  }
}
