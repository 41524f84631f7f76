import { parseObis } from "../dlms/cosem/obis-code.ts";
import type { MeterAssociation } from "../polling/meter-association.ts";
import { changeAttribute } from "./attribute-change.ts";
import type { CommandLog, StepEnd } from "./command-log.ts";
import { type AttributeCheck, checkPushConfiguration, isAsWanted, type ObjectCheck } from "./push-check.ts";
import type { PushConfiguration } from "./push-configuration.ts";

export interface AttributeWrite {
  readonly object: ObjectCheck;
  readonly attribute: AttributeCheck;
  readonly end: StepEnd;
}

export interface PushWriteOutcome {
  /** As it was before. */
  readonly checks: readonly ObjectCheck[];
  /** What was written because it differed, in order. */
  readonly writes: readonly AttributeWrite[];
}

/**
 * Writes what differs from the configuration, attribute by attribute, and reads each back. What is refused leaves the others as they
 * are meant; objects that the meter hasn't are not made. One command in the log for each object that is changed.
 * @throws PushConfigurationError before anything is written; PollError
 */
export async function writePushConfiguration(
  association: MeterAssociation,
  configuration: PushConfiguration,
  log: CommandLog,
): Promise<PushWriteOutcome> {
  const checks = await checkPushConfiguration(association, configuration);
  const writes: AttributeWrite[] = [];
  for (const object of checks) {
    const changes = object.attributes.filter(isWritten);
    if (changes.length > 0) writes.push(...(await writeObject(association, log, object, changes)));
  }
  return { checks, writes };
}

const isWritten = (attribute: AttributeCheck): boolean =>
  attribute.state === "differs" || (attribute.found === null && attribute.wanted.build !== null);

async function writeObject(
  association: MeterAssociation,
  log: CommandLog,
  object: ObjectCheck,
  changes: readonly AttributeCheck[],
): Promise<AttributeWrite[]> {
  const commandId = await log.begin({
    meterId: association.meterId,
    kind: "push-setup",
    clientSap: association.clientSap,
    requested: {
      object: object.logicalName,
      name: object.name,
      attributes: Object.fromEntries(changes.map(({ name, expected }) => [name, expected])),
    },
  });
  const writes: AttributeWrite[] = [];
  try {
    for (const attribute of changes) {
      writes.push({
        object,
        attribute,
        end: await writeAttribute(association, log, commandId, object, attribute),
      });
    }
  } catch (error) {
    await log.end(commandId, "failed", (error as Error).message);
    throw error;
  }
  const [state, reason] = worst(writes);
  await log.end(commandId, state, reason);
  return writes;
}

function writeAttribute(
  association: MeterAssociation,
  log: CommandLog,
  commandId: string,
  object: ObjectCheck,
  { index, wanted, data }: AttributeCheck,
): Promise<StepEnd> {
  return changeAttribute(association, log, commandId, {
    attribute: { classId: object.classId, instanceId: parseObis(object.logicalName), attributeId: index },
    ...(data === null ? {} : { before: data }),
    value: wanted.build!(data),
    isAsMeant: (after) => isAsWanted(wanted, after),
  });
}

/** A command is as good as the least of its steps. */
function worst(writes: readonly AttributeWrite[]): [StepEnd["state"], string | null] {
  for (const state of ["refused", "differs"] as const) {
    const bad = writes.filter(({ end }) => end.state === state);
    if (bad.length > 0) {
      return [state, bad.map(({ attribute, end }) => `${attribute.name}: ${end.reason ?? state}`).join("; ")];
    }
  }
  return ["verified", null];
}
