import { describeRefusal } from "../dlms/association/requests.ts";
import { parseObis } from "../dlms/cosem/obis-code.ts";
import type { Data } from "../dlms/encoding/data-types.ts";
import type { ClaimedPoll, PollElement } from "../storage/poll-tasks.ts";
import type { MeterAssociation } from "./meter-association.ts";
import type { PollSurroundings } from "./poll-session.ts";
import type { ReadPart } from "./read-part.ts";
import { ReadingError } from "./reading-error.ts";

/**
 * Objects read by themselves: one row. What the meter refuses is left out; where it refuses everything that is no row at all.
 * @throws PollError, ReadingError
 */
export async function* readObjects(
  association: MeterAssociation,
  poll: ClaimedPoll,
  elements: readonly PollElement[],
  { knowledge }: PollSurroundings,
): AsyncGenerator<ReadPart> {
  const columns = await knowledge.scalers(association, poll.meter, elements);
  let octets = 0;
  const outcomes = await association.read(
    elements.map(({ classId, code, attribute }) => ({
      attribute: { classId, instanceId: parseObis(code), attributeId: attribute },
    })),
    { onProgress: (progress) => (octets = Math.max(octets, progress.octets)) },
  );
  const given: { column: (typeof columns)[number]; value: Data }[] = [];
  const refused: string[] = [];
  outcomes.forEach((outcome, index) => {
    const element = elements[index]!;
    if (outcome.kind === "data") {
      given.push({ column: columns[index]!, value: elementOf(outcome.value, element.dataIndex) });
    } else refused.push(`${element.code} ${describeRefusal(outcome)}`);
  });
  if (given.length === 0) {
    throw new ReadingError("refused", `the meter gives nothing of ${poll.list.name}: ${refused.join(", ")}`);
  }
  const row = given.map(({ value }) => value);
  yield { columns: given.map(({ column }) => column), rows: [row], octets };
}

/** The n-th element of a structure or an array; the whole where n is 0 or it has no elements. */
function elementOf(value: Data, dataIndex: number): Data {
  if (dataIndex === 0 || (value.type !== "structure" && value.type !== "array")) return value;
  return value.value[dataIndex - 1] ?? { type: "null-data", value: null };
}
