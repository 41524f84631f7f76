import { describeRefusal } from "../dlms/association/requests.ts";
import type { CosemAttributeDescriptor } from "../dlms/cosem/attribute-descriptor.ts";
import { formatObis } from "../dlms/cosem/obis-code.ts";
import { treeOf } from "../dlms/encoding/data-tree.ts";
import type { Data } from "../dlms/encoding/data-types.ts";
import type { MeterAssociation } from "../polling/meter-association.ts";
import type { CommandLog, StepEnd } from "./command-log.ts";

export interface AttributeChange {
  readonly attribute: CosemAttributeDescriptor;
  /** What the meter held, where it was read. */
  readonly before?: Data;
  readonly value: Data;
  /** Whether what was read back is what was meant. */
  readonly isAsMeant: (after: Data) => boolean;
}

/** Writes an attribute and reads it back, with both in the log. A step that the line breaks off ends as `failed`, and the error goes on. */
export async function changeAttribute(
  association: MeterAssociation,
  log: CommandLog,
  commandId: string,
  change: AttributeChange,
): Promise<StepEnd> {
  const { attribute, before, value } = change;
  const step = await log.sending(commandId, {
    classId: attribute.classId,
    logicalName: formatObis(attribute.instanceId),
    attribute: attribute.attributeId,
    method: null,
    ...(before === undefined ? {} : { before: treeOf(before) }),
    written: treeOf(value),
  });
  return logged(log, commandId, step, async () => {
    const [outcome] = await association.write([{ attribute, value }]);
    if (outcome!.kind !== "done") return { state: "refused", reason: describeRefusal(outcome!) };
    return readBack(association, change);
  });
}

/** Runs the sending of a step and notes how it ended, also where it ends with an error: then whether it arrived is not known. */
export async function logged(
  log: CommandLog,
  commandId: string,
  step: number,
  run: () => Promise<StepEnd>,
): Promise<StepEnd> {
  try {
    const end = await run();
    await log.endStep(commandId, step, end);
    return end;
  } catch (error) {
    await log.endStep(commandId, step, { state: "failed", reason: (error as Error).message });
    throw error;
  }
}

async function readBack(association: MeterAssociation, change: AttributeChange): Promise<StepEnd> {
  const [outcome] = await association.read([{ attribute: change.attribute }]);
  if (outcome!.kind !== "data") {
    return { state: "differs", reason: `written, but reading it back gave: ${describeRefusal(outcome!)}` };
  }
  const after = treeOf(outcome!.value);
  return change.isAsMeant(outcome!.value)
    ? { state: "verified", after, reason: null }
    : { state: "differs", after, reason: "the meter said that it was done, and holds something else" };
}
