import { describeRefusal, type ReadOutcome } from "../dlms/association/requests.ts";
import { DataMismatch } from "../dlms/cosem/classes/data-codec.ts";
import type { ObjectListElement } from "../dlms/cosem/classes/object-list.ts";
import { parseObis } from "../dlms/cosem/obis-code.ts";
import type { Data } from "../dlms/encoding/data-types.ts";
import type { MeterAssociation } from "../polling/meter-association.ts";
import { readObjectList } from "../polling/object-list.ts";
import { PUSH_SCRIPTS, wantedOfActionSchedule } from "./action-schedule-attributes.ts";
import type {
  ConfiguredActionSchedule,
  ConfiguredPushSetup,
  PushConfiguration,
} from "./push-configuration.ts";
import { isKnownPushSetup, wantedOfPushSetup } from "./push-setup-attributes.ts";
import type { WantedAttribute } from "./wanted-attribute.ts";

/** One configured object against the meter's. */
export interface ObjectCheck {
  readonly kind: "push-setup" | "action-schedule";
  /** The configuration's name for it. */
  readonly name: string;
  readonly classId: number;
  /** Of the meter's object; null: the meter has none. */
  readonly version: number | null;
  readonly logicalName: string;
  readonly state: "same" | "differs" | "missing" | "unknown";
  readonly attributes: readonly AttributeCheck[];
  /** Why nothing could be compared; null where something was. */
  readonly reason: string | null;
}

export interface AttributeCheck {
  readonly index: number;
  readonly name: string;
  readonly state: "same" | "differs" | "unknown";
  /** A text for each element of a list, one for a single value. */
  readonly expected: readonly string[];
  /** null: it could not be read. */
  readonly found: readonly string[] | null;
  readonly reason: string | null;
  readonly wanted: WantedAttribute;
  /** As the meter gave it; null: it gave none. */
  readonly data: Data | null;
}

const PUSH_SETUP = 40;
const ACTION_SCHEDULE = 22;
const SCRIPT_TABLE = 9;

/**
 * Reads all configured push setups and single action schedules of a meter and compares them attribute by attribute.
 * @throws PushConfigurationError where the tables hold what no meter could, PollError
 */
export async function checkPushConfiguration(
  association: MeterAssociation,
  configuration: PushConfiguration,
): Promise<ObjectCheck[]> {
  const { objects } = await readObjectList(association);
  const checks: ObjectCheck[] = [];
  for (const setup of configuration.setups) checks.push(await checkSetup(association, objects, setup));
  if (configuration.schedules.length > 0) {
    const scripts = await scriptsOf(association, objects);
    for (const schedule of configuration.schedules) {
      checks.push(await checkSchedule(association, objects, schedule, scripts));
    }
  }
  return checks;
}

const versionOf = (
  objects: readonly ObjectListElement[],
  classId: number,
  logicalName: string,
): number | null => {
  const code = parseObis(logicalName);
  return objects.find((one) => one.classId === classId && one.logicalName === code)?.version ?? null;
};

async function checkSetup(
  association: MeterAssociation,
  objects: readonly ObjectListElement[],
  setup: ConfiguredPushSetup,
): Promise<ObjectCheck> {
  const version = versionOf(objects, PUSH_SETUP, setup.logicalName);
  const head = { kind: "push-setup", name: setup.name, classId: PUSH_SETUP, version } as const;
  const object = { ...head, logicalName: setup.logicalName };
  if (version === null) return missing(object, "push setup");
  if (!isKnownPushSetup(version)) {
    const reason = `version ${version} of the push setup class is not known`;
    return { ...object, state: "unknown", attributes: [], reason };
  }
  const attributes = await compare(
    association,
    PUSH_SETUP,
    setup.logicalName,
    wantedOfPushSetup(setup, version),
  );
  return { ...object, state: stateOf(attributes), attributes, reason: null };
}

async function checkSchedule(
  association: MeterAssociation,
  objects: readonly ObjectListElement[],
  schedule: ConfiguredActionSchedule,
  scripts: Data | null,
): Promise<ObjectCheck> {
  const { name, logicalName } = schedule;
  const version = versionOf(objects, ACTION_SCHEDULE, logicalName);
  const object = { kind: "action-schedule", name, classId: ACTION_SCHEDULE, version, logicalName } as const;
  if (version === null) return missing(object, "single action schedule");
  const wanted = wantedOfActionSchedule(schedule, scripts);
  const attributes = await compare(association, ACTION_SCHEDULE, logicalName, wanted);
  return { ...object, state: stateOf(attributes), attributes, reason: null };
}

function missing(object: Omit<ObjectCheck, "state" | "attributes" | "reason">, what: string): ObjectCheck {
  const reason = `the object list of this association has no ${what} ${object.logicalName}`;
  return { ...object, state: "missing", attributes: [], reason };
}

async function scriptsOf(
  association: MeterAssociation,
  objects: readonly ObjectListElement[],
): Promise<Data | null> {
  if (!objects.some((one) => one.classId === SCRIPT_TABLE && one.logicalName === PUSH_SCRIPTS)) return null;
  const [outcome] = await association.read([
    { attribute: { classId: SCRIPT_TABLE, instanceId: PUSH_SCRIPTS, attributeId: 2 } },
  ]);
  return outcome!.kind === "data" ? outcome!.value : null;
}

async function compare(
  association: MeterAssociation,
  classId: number,
  logicalName: string,
  wanted: readonly WantedAttribute[],
): Promise<AttributeCheck[]> {
  const instanceId = parseObis(logicalName);
  const outcomes = await association.read(
    wanted.map(({ index }) => ({ attribute: { classId, instanceId, attributeId: index } })),
  );
  return wanted.map((one, at) => compareOne(one, outcomes[at]!));
}

function compareOne(wanted: WantedAttribute, outcome: ReadOutcome): AttributeCheck {
  const { index, name, expected, problem } = wanted;
  const head = { index, name, expected, wanted, data: outcome.kind === "data" ? outcome.value : null };
  if (outcome.kind !== "data")
    return { ...head, state: "unknown", found: null, reason: describeRefusal(outcome) };
  const found = described(wanted, outcome.value);
  if (typeof found === "string") return { ...head, state: "unknown", found: null, reason: found };
  if (problem !== null) return { ...head, state: "unknown", found, reason: problem };
  return { ...head, state: isSame(expected, found) ? "same" : "differs", found, reason: null };
}

/** What a Data says, or why it can't be understood. */
function described(wanted: WantedAttribute, data: Data): string[] | string {
  try {
    return wanted.describe(data);
  } catch (error) {
    if (error instanceof DataMismatch) return `the meter gave something else: ${error.message}`;
    throw error;
  }
}

/** Whether a Data read back is what was wanted. */
export function isAsWanted(wanted: WantedAttribute, data: Data): boolean {
  const found = described(wanted, data);
  return typeof found !== "string" && isSame(wanted.expected, found);
}

const isSame = (one: readonly string[], other: readonly string[]): boolean =>
  one.length === other.length && one.every((text, index) => text === other[index]);

function stateOf(attributes: readonly AttributeCheck[]): ObjectCheck["state"] {
  if (attributes.some(({ state }) => state === "differs")) return "differs";
  return attributes.some(({ state }) => state === "unknown") ? "unknown" : "same";
}
