import type { MeterZone } from "../commands/clock-reading.ts";
import { EXIT, UserError } from "../exit.ts";
import { isZone, zoneRule } from "../mapping/zone.ts";
import { type MeterAssociation, type MeterRoads, PollError } from "../polling/meter-association.ts";
import type { MeterSummary } from "../storage/meters.ts";
import { namedMeter } from "./named-meter.ts";
import type { Program } from "./program.ts";
import { type Session, withSession } from "./session.ts";
import { withRoads } from "./with-roads.ts";

/** A meter that a command talks to. */
export interface MeterSession extends Session {
  readonly meter: MeterSummary;
  /** Opens an association; what was opened is released when the command ends. @throws UserError "unavailable" */
  associate(clientSap: number): Promise<MeterAssociation>;
}

/**
 * Runs `work` with the meter of this name. Ctrl-C ends waiting and working, and releases the association. What keeps a meter from
 * being talked to is the user's to know, not a fault of ours: it ends as "unavailable" with the reason.
 */
export function withMeter(
  program: Program,
  name: string,
  work: (session: MeterSession) => Promise<void>,
): Promise<void> {
  return withSession(program, async (session) => {
    const meter = await namedMeter(session.database, name);
    await withRoads(session, (roads) => talk(roads, { ...session, meter }, work));
  });
}

async function talk(
  roads: MeterRoads,
  session: Omit<MeterSession, "associate">,
  work: (session: MeterSession) => Promise<void>,
): Promise<void> {
  const interrupt = new AbortController();
  const onSignal = () => interrupt.abort();
  process.once("SIGINT", onSignal);
  const open: MeterAssociation[] = [];
  try {
    await work({
      ...session,
      associate: async (clientSap) => {
        for (const before of open.splice(0)) await before.release();
        const { signal } = interrupt;
        const association = await roads.open(session.meter.id, { clientSap, purpose: "on-demand", signal });
        open.push(association);
        return association;
      },
    });
  } catch (error) {
    if (error instanceof PollError) throw new UserError(EXIT.unavailable, error.message, { cause: error });
    throw error;
  } finally {
    process.off("SIGINT", onSignal);
    for (const association of open) await association.release();
  }
}

/** The zone that a meter's local times are in, and the sign of its deviations. */
export function zoneOfMeter({ meter, config }: MeterSession): MeterZone {
  const timeZone = meter.timeZone ?? config.time.zone;
  if (!isZone(timeZone)) {
    throw new UserError(
      EXIT.data,
      `The time zone of ${meter.meterNumber}, ${JSON.stringify(timeZone)}, is none.`,
    );
  }
  return { timeZone, rule: zoneRule(timeZone, meter.deviationSign as "standard" | "reversed") };
}

/** `--client`, from 1 to 127. @throws UserError */
export function clientSapOf(text: string): number {
  const sap = Number(text);
  if (!Number.isInteger(sap) || sap < 1 || sap > 127) {
    throw new UserError(EXIT.usage, `--client ${JSON.stringify(text)} is no client SAP from 1 to 127`);
  }
  return sap;
}
