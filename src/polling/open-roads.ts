import type { KeyRing } from "../keys/key-ring.ts";
import type { Config } from "../settings.ts";
import type { Database } from "../storage/database.ts";
import { learnQuirk, loadMeterAccess, type MeterAccess } from "../storage/meter-access.ts";
import { openSecurityEvents } from "../storage/security-events.ts";
import {
  isCounterKnown,
  noteReceivedCounter,
  receivedCounter,
  reserveCounters,
} from "../storage/sent-counters.ts";
import type { CounterStore } from "./counter-leases.ts";
import { Dialler, type LentConnections } from "./dialler.ts";
import { type Notification, type RoadDependencies, Roads } from "./roads.ts";

const MINUTE_MS = 60_000;

export interface RoadsOptions {
  readonly config: Config;
  readonly database: Database;
  readonly ring: KeyRing;
  /** Connections that meters have opened; null where there are none, as in a command. */
  readonly lent: LentConnections | null;
  readonly onUnusableKey?: (error: Error) => void;
  /** Told of APDUs that a meter sends beside the conversation, on connections of our own. */
  readonly onNotification?: (meter: MeterAccess, notification: Notification) => void;
  /** Told of what is refused in associations; absent: it is a security event of its own. */
  readonly onRefused?: NonNullable<RoadDependencies["onRefused"]>;
  /** Counters reserved at once, instead of polling.counter_block: a command needs few. */
  readonly counterBlock?: number;
  /** Where meters are reached instead of where the database says. */
  readonly override?: Partial<MeterAccess>;
}

/** The roads to the meters of a database. */
export function openRoads(options: RoadsOptions): Roads {
  const { config, database, ring, lent, onUnusableKey, onNotification, override } = options;
  const { polling, security, limits } = config;
  return new Roads({
    load: async (meterId, clientSap) => {
      const meter = await loadMeterAccess(database, ring, meterId, clientSap, onUnusableKey);
      return meter === null ? null : { ...meter, ...override };
    },
    learn: (meterType, quirk) => learnQuirk(database, meterType, quirk),
    counters: counterStore(database),
    dialler: new Dialler(lent, polling.serial, polling.connectMs),
    ...(onNotification === undefined ? {} : { onNotification }),
    onRefused: options.onRefused ?? recordRefusals(database),
    settings: {
      systemTitle: Buffer.from(polling.systemTitle, "hex"),
      associationsMax: polling.associationsMax,
      perHostMax: polling.perHostMax,
      perNetworkMax: polling.perNetworkMax,
      perHostIntervalMs: polling.perHostIntervalMs,
      responseMs: polling.responseMs,
      retries: polling.retries,
      hdlcWindow: polling.hdlcWindow,
      maxReceivePduSize: polling.maxPduBytes,
      counterBlock: options.counterBlock ?? polling.counterBlock,
      counterJumpMax: security.counterJumpMax,
      limits,
    },
  });
}

/** For commands, whose refusals are few. */
function recordRefusals(database: Database): NonNullable<RoadDependencies["onRefused"]> {
  const events = openSecurityEvents(database);
  return ({ id: meterId }, source, { reason, text }) => {
    const minuteMs = Math.floor(Date.now() / MINUTE_MS) * MINUTE_MS;
    // Who runs the command is told what is wrong; that it was noted too is not worth failing for.
    events.record([{ source, reason, minuteMs, meterId, count: 1, text }]).catch(() => undefined);
  };
}

function counterStore(database: Database): CounterStore {
  return {
    reserve: (keyId, count, above) => reserveCounters(database, keyId, count, above),
    isKnown: (keyId) => isCounterKnown(database, keyId),
    received: (keyId, clientSap) => receivedCounter(database, keyId, clientSap),
    noteReceived: (keyId, clientSap, received) => noteReceivedCounter(database, keyId, clientSap, received),
  };
}
