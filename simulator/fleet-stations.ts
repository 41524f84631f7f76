import { loadCatalogue } from "../src/catalogue/catalogue.ts";
import type { ClockErrors } from "./clock-error.ts";
import { INTERFACE_NAMES, type InterfaceName, loadInterfaces } from "./customer-interface/interface-model.ts";
import { planInterface } from "./customer-interface/interface-plan.ts";
import { InterfaceSender } from "./customer-interface/interface-sender.ts";
import { deviceOf } from "./device/device-model.ts";
import { withTrialClients } from "./device/trial-clients.ts";
import type { FleetModelName, FleetOptions } from "./fleet-options.ts";
import { type MeterPlan, planMeter } from "./identity.ts";
import { MeterLine } from "./line.ts";
import type { LineCounts } from "./line-counts.ts";
import { type MeterSchedule, SimulatedMeter } from "./meter.ts";
import { loadModels, type Model } from "./model.ts";
import { fraction, mix } from "./random.ts";
import { type PushHabits, Station, type StationEvents, type StationOptions } from "./station.ts";
import { dialTarget } from "./uplink.ts";

const DEFAULT_SCHEDULE: MeterSchedule = {
  instantSeconds: 900,
  blockPushSeconds: null,
  incidentsPerDay: 4,
  history: true,
};
const EXACT_CLOCKS: ClockErrors = { drift: 0, jump: 0 };

/** The meters of a fleet, each at its line. */
export function stationsOf(
  options: FleetOptions,
  startMs: number,
  lines: LineCounts,
  events: StationEvents,
): Station[] {
  const { meters, models = ["D1", "D2", "D3"], seed, target, connection, dial } = options;
  const sources = sourcesOf(options, startMs);
  const own = (salt: number, index: number) => fraction(mix(seed, salt), index);
  return Array.from({ length: meters }, (_, index) => {
    const { meter, device } = sources(models[index % models.length]!, index);
    const { localAddress } = meter.plan;
    const rampMs = options.rampMs ?? 0;
    const called = localAddress === null ? target : { ...target, localAddress };
    return new Station({
      meter,
      line: new MeterLine(called, connection ?? "standing", dial ?? dialTarget, lines),
      seed: mix(seed, index + 1),
      delayMs: own(61, index) * (options.spreadSeconds ?? 0) * 1_000,
      silentUntilMs: rampMs === 0 ? 0 : startMs + own(63, index) * rampMs,
      firstCounter: options.firstCounter ?? 1,
      faults: options.faults ?? {},
      clockErrors: options.clockErrors ?? EXACT_CLOCKS,
      startMs,
      events,
      clock: options.clock,
      device,
      destination: `${target.host}:${target.port}`,
      holes: options.holes ?? 0,
      counts: lines,
      delivery: deliveryOf(options, meter.plan, own(64, index)),
    });
  });
}

/** Only wrapper PDUs carry confirmations, and a customer interface hears none. */
function deliveryOf({ delivery }: FleetOptions, { framing, clients }: MeterPlan, chance: number): PushHabits {
  const { confirmedShare = 0, ...rest } = delivery ?? {};
  const confirmed = framing === "wrapper" && clients.length > 0 && chance < confirmedShare;
  return { ...AT_ONCE, ...rest, confirmed };
}

const AT_ONCE: PushHabits = { confirmed: false, retries: 3, repetitionMs: 10_000, randomisationMs: 0 };

/** What number `index` of the fleet is. */
type Sources = (name: FleetModelName, index: number) => Pick<StationOptions, "meter" | "device">;

function sourcesOf(options: FleetOptions, startMs: number): Sources {
  const { seed, choices, target } = options;
  const catalogue = loadCatalogue();
  const known = loadModels(catalogue);
  const interfaces = loadInterfaces(catalogue);
  const schedule = { ...DEFAULT_SCHEDULE, ...options.schedule };
  const deviceFor = (model: Model) =>
    choices?.trialClients ? withTrialClients(deviceOf(model)) : deviceOf(model);
  const devices = new Map(Object.values(known).map((model) => [model, deviceFor(model)]));
  return (name, index) => {
    if (isInterface(name)) {
      const model = interfaces[name];
      const plan = planInterface(seed, index, model, LOOPBACK.test(target.host));
      const slowestMs = (options.listSeconds ?? 0) * 1_000;
      return { meter: new InterfaceSender(seed, plan, model, slowestMs, startMs), device: null };
    }
    const model = known[name];
    const plan = planMeter(seed, index, model, { protection: null, framing: null, layout: null, ...choices });
    const meter = new SimulatedMeter(seed, plan, model, schedule, startMs);
    return { meter, device: { meter, model: options.device ?? devices.get(model)! } };
  };
}

const LOOPBACK = /^(127\.|localhost$)/;

function isInterface(name: FleetModelName): name is InterfaceName {
  return (INTERFACE_NAMES as readonly string[]).includes(name);
}
