import type { Limits } from "../limits.ts";
import type { Database } from "../storage/database.ts";
import { LENDERS_CHANNEL, openLentAssociations } from "../storage/lent-associations.ts";
import { AssociationLender } from "./association-lender.ts";
import type { MeterRoads } from "./meter-association.ts";

export interface OpenLenderOptions {
  readonly database: Database;
  readonly daemonId: string;
  readonly roads: MeterRoads;
  /** Whether the connection that the meter has opened ends here. */
  readonly isConnected: (meterId: string) => boolean;
  readonly limits: Limits;
  readonly onError: (error: unknown) => void;
}

/** A lender that is told of what commands write. */
export async function openLender(
  options: OpenLenderOptions,
): Promise<Pick<AssociationLender, "wake" | "tick" | "stop">> {
  const { database, daemonId, roads, isConnected, limits, onError } = options;
  const lender = new AssociationLender({
    lent: openLentAssociations(database, daemonId),
    limits: { depthMax: limits.depthMax, elementsMax: limits.pollElementsMax },
    ...{ roads, isConnected, onError },
  });
  const listener = await database.listen(
    LENDERS_CHANNEL,
    (id) => lender.wake(Number(id)),
    () => lender.wake(null),
  );
  return {
    wake: (id) => lender.wake(id),
    tick: () => lender.tick(),
    stop: async () => {
      await listener.close();
      await lender.stop();
    },
  };
}
