import type { SocketAddress } from "../src/transports/address.ts";
import type { Clock } from "./clock.ts";
import type { ClockErrors } from "./clock-error.ts";
import { INTERFACE_NAMES } from "./customer-interface/interface-model.ts";
import type { DeviceModel } from "./device/device-model.ts";
import type { FaultShares } from "./faults.ts";
import type { PlanChoices } from "./identity.ts";
import type { ConnectionHabit } from "./line-job.ts";
import type { MeterSchedule } from "./meter.ts";
import { MODEL_NAMES } from "./model.ts";
import type { PushHabits } from "./station.ts";
import type { Dial, Target } from "./uplink.ts";

export const FLEET_MODEL_NAMES = [...MODEL_NAMES, ...INTERFACE_NAMES] as const;
/** What a fleet may consist of: meters, and customer interfaces. */
export type FleetModelName = (typeof FLEET_MODEL_NAMES)[number];

export interface FleetOptions {
  /** How many meters. */
  readonly meters: number;
  /** Models in turn; D1, D2 and D3 by default. */
  readonly models?: readonly FleetModelName[];
  /** Everything that meters do follows from it, and from the clock. */
  readonly seed: number;
  /** The head-end. */
  readonly target: Target;
  /** What the fleet lives by; may run faster than time. */
  readonly clock: Clock;
  readonly schedule?: Partial<MeterSchedule>;
  /** Customer interfaces send no list more often; as often as theirs does where absent. Seconds. */
  readonly listSeconds?: number;
  /** Fixed for all meters what is given; the rest differs from meter to meter. */
  readonly choices?: Partial<PlanChoices>;
  readonly connection?: ConnectionHabit;
  /** How push setups have their pushes delivered. */
  readonly delivery?: Partial<PushHabits> & {
    /** Share of the meters that ask for a confirmation of each push, 0 … 1. */
    readonly confirmedShare?: number;
  };
  /** Meters hold what they have to push back by up to so many seconds of their clock, each by its own time. */
  readonly spreadSeconds?: number;
  /** Meters begin to push one after the other over so many ms of the fleet's clock. */
  readonly rampMs?: number;
  /** Invocation counter of each meter's first push. Must be above that of the last run against the same head-end. */
  readonly firstCounter?: number;
  readonly faults?: FaultShares;
  readonly clockErrors?: ClockErrors;
  readonly powerCut?: PowerCut;
  /** Share of block load pushes that meters capture and don't push, 0 … 1: holes that only polls can fill. */
  readonly holes?: number;
  /** Where meters can be called: meter number i listens on the port + i. null: only over the connections that they make. */
  readonly listen?: SocketAddress;
  /** What meters answer from, where it isn't their own model: a meter that was read. */
  readonly device?: DeviceModel;
  /** Whether every push sent is remembered in `sent`. */
  readonly record?: boolean;
  readonly dial?: Dial;
}

/** The power of all meters fails at the same instant. In ms of the fleet's clock. */
export interface PowerCut {
  /** After the start. */
  readonly afterMs: number;
  readonly darkMs: number;
  /** Meters come back one after the other over so long. */
  readonly backWithinMs: number;
}
