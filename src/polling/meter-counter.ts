import { PeerProtocolError } from "../dlms/association/errors.ts";
import { parseObis } from "../dlms/cosem/obis-code.ts";
import type { ExceptionResponse } from "../dlms/xdlms/refusals.ts";
import { type MeterAssociation, PollError } from "./meter-association.ts";

/** Where Indian meters keep the counter of a client's association (IS 15959): 0.0.43.1.e.255. */
const COUNTER_OF: Readonly<Record<number, number>> = { 16: 1, 32: 2, 48: 3, 64: 4, 80: 5, 96: 6 };
/** Where others keep it: that of the first security setup. */
const FIRST_SETUP = 0;

/**
 * The counter that the meter has last taken from us, which it tells the public client. null where it doesn't offer one: then our own
 * counter is all there is.
 */
export async function readMeterCounter(
  clientSap: number,
  openPublic: () => Promise<MeterAssociation>,
): Promise<number | null> {
  let association: MeterAssociation;
  try {
    association = await openPublic();
  } catch (error) {
    // No public client, or none now: whether the meter can be reached at all shows in a moment.
    if (error instanceof PollError && error.failure !== "aborted") return null;
    throw error;
  }
  try {
    const places = [...new Set([COUNTER_OF[clientSap] ?? FIRST_SETUP, FIRST_SETUP])];
    for (const place of places) {
      const instanceId = parseObis(`0.0.43.1.${place}.255`);
      const [outcome] = await association.read([{ attribute: { classId: 1, instanceId, attributeId: 2 } }]);
      if (outcome?.kind === "data" && typeof outcome.value.value === "number") return outcome.value.value;
    }
    return null;
  } catch (error) {
    if (error instanceof PollError && error.failure !== "aborted") return null;
    throw error;
  } finally {
    await association.release();
  }
}

/** The counter below the one that a meter asked for when it refused ours; null where it didn't. */
export function counterAsked(error: unknown): number | null {
  if (!(error instanceof PollError) || !(error.cause instanceof PeerProtocolError)) return null;
  const answer = error.cause.cause as Partial<ExceptionResponse> | undefined;
  if (answer?.apdu !== "exception-response" || answer.serviceError !== "invocation-counter-error")
    return null;
  const { invocationCounter } = answer;
  return invocationCounter === undefined || invocationCounter === null
    ? null
    : Math.max(0, invocationCounter - 1);
}
