import { acceleratedClock } from "../../../simulator/clock.ts";
import type { ClockErrors } from "../../../simulator/clock-error.ts";
import { dialUdpTarget, serialDial } from "../../../simulator/dials.ts";
import { FAULT_NAMES, type FaultName } from "../../../simulator/faults.ts";
import {
  FLEET_MODEL_NAMES,
  type FleetModelName,
  type FleetOptions,
  type PowerCut,
} from "../../../simulator/fleet-options.ts";
import { QUIRK_NAMES } from "../../../simulator/habits.ts";
import { beforeChange } from "../../../simulator/local-time.ts";
import { loadModels } from "../../../simulator/model.ts";
import { loadCatalogue } from "../../catalogue/catalogue.ts";
import type { SecuritySuite } from "../../dlms/security/security-control.ts";
import { EXIT, UserError } from "../../exit.ts";
import { parseSocketAddress, type SocketAddress } from "../../transports/address.ts";
import { TransportError } from "../../transports/errors.ts";
import { parseNames, parsePeriods, parsePushSetup, parseShares } from "./shares.ts";

/** Options of `hes simulate` that say what the fleet is and does. Times are in ms. */
export interface FleetArguments {
  readonly to: string;
  readonly meters: number;
  readonly model: string;
  readonly push: string;
  readonly incidents: number;
  readonly seed: number;
  readonly speed: number;
  readonly start?: string;
  readonly firstCounter?: number;
  readonly ramp: number;
  readonly framing?: "wrapper" | "hdlc";
  readonly connection: "standing" | "per-push";
  readonly faults: string;
  readonly quirks: string;
  readonly powerCut?: number;
  readonly dark: number;
  readonly backWithin: number;
  readonly listen?: string;
  readonly holes?: string;
  readonly suite: string;
  readonly trialClients?: true;
  readonly clientKeys?: true;
  readonly transport: "tcp" | "udp" | "serial";
  readonly baud: number;
  readonly confirmed?: string;
  readonly pushSetup: string;
}

/** Tenths of seconds since then: no meter pushes ten times a second for long, so the next run's counters are above this one's. */
const COUNTERS_SINCE = Date.UTC(2026, 0, 1);

/** Fleets up to this size begin with the demands of the running month; the meters of larger ones are as after a demand reset. */
const HISTORY_METERS_MAX = 500;

/** What is wrong with the clocks of a share of the meters, by name. */
export const CLOCK_FAULTS = {
  "clock-drift": "a share of the meters: up to 120 s a day",
  "clock-jump": "a share of the meters: up to 900 s, once within the first hour",
  "daylight-saving":
    "a share of the meters in zones with summer time: local time without its deviation; what hour of two it is, only the clock status tells",
} as const;
const CLOCK_FAULT_NAMES = Object.keys(CLOCK_FAULTS) as (keyof typeof CLOCK_FAULTS)[];

/** @throws UserError */
export function fleetOptions(given: FleetArguments, realNow: () => number): FleetOptions {
  const models = parseNames("--model", given.model, FLEET_MODEL_NAMES);
  if (models.length === 0) throw new UserError(EXIT.usage, "--model: name at least one");
  const road = roadOf(given, models);
  const shares = parseShares("--faults", given.faults, [...FAULT_NAMES, ...CLOCK_FAULT_NAMES]);
  const {
    "clock-drift": drift = 0,
    "clock-jump": jump = 0,
    "daylight-saving": untold = 0,
    ...faults
  } = shares;
  const powerCut = powerCutOf(given);
  return {
    meters: given.meters,
    models,
    seed: given.seed,
    ...road,
    delivery: deliveryOf(given),
    clock: acceleratedClock(startOf(given.start, realNow), given.speed, realNow),
    schedule: {
      ...scheduleOf(given.push, models),
      incidentsPerDay: given.incidents,
      // Living through the running month takes some milliseconds a meter.
      history: given.meters <= HISTORY_METERS_MAX,
    },
    choices: {
      quirks: parseNames("--quirks", given.quirks, QUIRK_NAMES),
      untold,
      ...(given.framing ? { framing: given.framing } : {}),
      suite: Number(given.suite) as SecuritySuite,
      trialClients: given.trialClients ?? false,
      clientKeys: given.clientKeys ?? false,
    },
    connection: given.connection,
    rampMs: given.ramp * given.speed,
    ...listsOf(given.push),
    firstCounter: given.firstCounter ?? Math.floor((realNow() - COUNTERS_SINCE) / 100),
    faults: faults satisfies Partial<Record<FaultName, number>>,
    clockErrors: { drift, jump } satisfies ClockErrors,
    ...(powerCut === null ? {} : { powerCut }),
    ...(given.listen === undefined ? {} : { listen: addressOf("--listen", given.listen) }),
    ...(given.holes === undefined
      ? {}
      : { holes: parseShares("--holes", `block=${given.holes}`, ["block"]).block ?? 0 }),
  };
}

function addressOf(option: string, text: string): SocketAddress {
  try {
    return parseSocketAddress(text);
  } catch (error) {
    if (!(error instanceof TransportError)) throw error;
    throw new UserError(EXIT.usage, `${option}: "${text}" is no address; write HOST:PORT or [IPv6]:PORT`);
  }
}

function startOf(text: string | undefined, realNow: () => number): number {
  if (text === undefined) return realNow();
  if (text === "spring" || text === "autumn") return beforeChange(text, realNow());
  const startMs = Date.parse(text);
  if (Number.isNaN(startMs)) {
    throw new UserError(
      EXIT.usage,
      `--start: "${text}" is no time; write 2026-11-01T00:00:00Z, or spring or autumn for the hours around the next change of Central European clocks`,
    );
  }
  return startMs;
}

function scheduleOf(push: string, models: readonly FleetModelName[]) {
  const { instant, block } = parsePeriods("--push", push);
  const instants = instant === null ? {} : { instantSeconds: instant };
  if (block === null) return instants;
  const known = loadModels(loadCatalogue());
  for (const name of models) {
    // Customer interfaces have no blocks.
    if (!(name in known)) continue;
    const { blockSeconds } = known[name as keyof typeof known];
    if (Number.isInteger(block / blockSeconds)) continue;
    throw new UserError(
      EXIT.usage,
      `--push: ${name} captures a block every ${blockSeconds / 60} minutes; block= is a multiple of that, or off`,
    );
  }
  return { ...instants, blockPushSeconds: block };
}

/** Where meters push to, and how. */
function roadOf(
  { transport, to, baud, meters, faults, confirmed, listen }: FleetArguments,
  models: readonly FleetModelName[],
): Pick<FleetOptions, "target" | "dial"> {
  if (transport === "tcp") {
    const { host, port } = addressOf("--to", to);
    return { target: { host, port } };
  }
  const inClear = models.filter((name) => ["AIDON", "KAIFA", "KAMSTRUP"].includes(name));
  if (inClear.length > 0 && transport === "udp") {
    const text = `--transport udp: ${inClear[0]} pushes in clear and is known by the address that it calls from, over TCP only`;
    throw new UserError(EXIT.usage, text);
  }
  const named = parseShares("--faults", faults, [...FAULT_NAMES, ...CLOCK_FAULT_NAMES]);
  const cut = Object.keys(named).filter((name) => STREAM_FAULTS.has(name));
  if (transport === "udp") {
    if (cut.length > 0) {
      throw new UserError(
        EXIT.usage,
        `--transport udp: a datagram comes whole or not at all; leave out ${cut.join(", ")}`,
      );
    }
    const { host, port } = addressOf("--to", to);
    return { target: { host, port }, dial: dialUdpTarget };
  }
  if (meters > 1)
    throw new UserError(EXIT.usage, "--transport serial: one line has one meter; write --meters 1");
  if (listen !== undefined || confirmed !== undefined) {
    throw new UserError(EXIT.usage, "--transport serial: goes with neither --listen nor --confirmed");
  }
  return { target: { host: to, port: 0 }, dial: serialDial(baud) };
}

/** Faults that need a stream. */
const STREAM_FAULTS: ReadonlySet<string> = new Set<FaultName>([
  ...(["split", "slow", "merge", "drop", "half-open", "reboot", "wrong-length", "wrong-version"] as const),
]);

function deliveryOf({ confirmed, pushSetup }: FleetArguments): NonNullable<FleetOptions["delivery"]> {
  const share = confirmed === undefined ? 0 : parseShares("--confirmed", `all=${confirmed}`, ["all"]);
  return {
    confirmedShare: share === 0 ? 0 : (share.all ?? 0),
    ...parsePushSetup("--push-setup", pushSetup),
  };
}

function listsOf(push: string): Pick<FleetOptions, "listSeconds"> {
  const { list } = parsePeriods("--push", push);
  return list === null ? {} : { listSeconds: list };
}

/** The fleet's clock may be faster than time; the options say what passes in the world. */
function powerCutOf({ powerCut, dark, backWithin, speed }: FleetArguments): PowerCut | null {
  if (powerCut === undefined) return null;
  return { afterMs: powerCut * speed, darkMs: dark * speed, backWithinMs: backWithin * speed };
}
