import { randomUUID } from "node:crypto";
import { BorrowedRoads } from "../polling/borrowed-roads.ts";
import type { MeterRoads } from "../polling/meter-association.ts";
import { openRoads } from "../polling/open-roads.ts";
import { openBorrowedAssociations } from "../storage/borrowed-associations.ts";
import { BORROWERS_CHANNEL, openLentAssociations } from "../storage/lent-associations.ts";
import type { Session } from "./session.ts";

/** Counters that a command reserves at once: it needs few, and what it doesn't use is skipped. */
const COUNTERS_OF_A_COMMAND = 32;

/** Runs `work` with the roads of a command to the meters of its database: through a daemon where one lives. */
export async function withRoads<T>(session: Session, work: (roads: MeterRoads) => Promise<T>): Promise<T> {
  const { config, database } = session;
  const { depthMax, pollElementsMax } = config.limits;
  const ring = await session.ring();
  const roads = new BorrowedRoads({
    borrowed: openBorrowedAssociations(database),
    own: openLentAssociations(database, randomUUID()),
    roads: openRoads({
      ...{ config, database, ring, lent: null, counterBlock: COUNTERS_OF_A_COMMAND },
    }),
    limits: { depthMax, elementsMax: pollElementsMax },
  });
  const listener = await database.listen(
    BORROWERS_CHANNEL,
    (id) => roads.wake(Number(id)),
    () => roads.wake(null),
  );
  try {
    return await work(roads);
  } finally {
    await listener.close();
  }
}
