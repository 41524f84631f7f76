import type { SecuritySuite } from "../src/dlms/security/security-control.ts";
import type { Identity } from "./capture.ts";
import { trialClientsBeside } from "./device/trial-clients.ts";
import type { LineFraming } from "./framing.ts";
import { type Habits, type QuirkName, quirkOf } from "./habits.ts";
import type { Model, ModelClient } from "./model.ts";
import { type KeyPair, PlannedKeys } from "./planned-keys.ts";
import type { BodyStyle, Layout } from "./push-body.ts";
import { fraction, mix } from "./random.ts";

/** What a meter is called, how it protects and how it sends. */
export interface MeterPlan {
  readonly index: number;
  readonly meterNumber: string;
  /** Name of the meter type that its scalers are configured for. */
  readonly meterType: string;
  readonly identity: Identity;
  /** Eight octets. */
  readonly systemTitle: Buffer;
  readonly suite: SecuritySuite;
  readonly keys: PlannedKeys;
  /** 0 in clear, 0x20 encrypted only, 0x30 authenticated and encrypted, as the security control octet says. */
  readonly protection: 0 | 0x20 | 0x30;
  readonly framing: LineFraming;
  readonly habits: Habits;
  readonly style: BodyStyle;
  readonly deviationSign: "standard" | "reversed";
  /** Associations that a head-end can be told of. */
  readonly clients: readonly ModelClient[];
  /** Address that it calls from, where that is what it is known by; null: any. */
  readonly localAddress: string | null;
}

/** Fixed for all meters, or null: meters differ, each by its number. */
export interface PlanChoices {
  readonly protection: 0x20 | 0x30 | null;
  readonly framing: "wrapper" | "hdlc" | null;
  readonly layout: Layout | null;
  /** Share of the meters that tell no deviation although their zone has summer time, 0 … 1; none where absent. */
  readonly untold?: number;
  /** Quirks that meters have by turns; none where absent. */
  readonly quirks?: readonly QuirkName[];
  /** 0 where absent. */
  readonly suite?: SecuritySuite;
  /** Associations for every mechanism besides those of the model. */
  readonly trialClients?: boolean;
  /** Every association that proves who asks has keys of its own. */
  readonly clientKeys?: boolean;
}

const MECHANISM_NAMES = ["none", "lls", "hls2", "hls3", "hls4", "hls5", "hls6"] as const;
const WITHOUT_SECRET: ReadonlySet<number> = new Set([0, 5]);

function trialClients(own: readonly ModelClient[]): ModelClient[] {
  return trialClientsBeside(own.map(({ sap }) => sap)).map(({ clientSap, mechanism, ciphered }) => ({
    ...{ sap: clientSap, mechanism },
    context: ciphered ? "ciphered" : "plain",
  }));
}

/** What meter number `index` of a fleet has on it, of whatever kind it is. */
export function nameplate(index: number) {
  const number = 10_000_001 + index;
  const serial = String(number);
  const systemTitle = Buffer.alloc(8);
  systemTitle.write("SIM", "latin1");
  systemTitle.writeUInt32BE(number, 4);
  return {
    serial,
    systemTitle,
    manufacturer: "Simulated Meters",
    firmware: "1.0.0",
    year: 2026,
    logicalDeviceName: `SIM${serial.padStart(13, "0")}`,
  };
}

/** Plan of meter number `index`, 0 …; within a few meters every way of sending occurs. */
export function planMeter(seed: number, index: number, model: Model, choices: PlanChoices): MeterPlan {
  const { systemTitle, ...plate } = nameplate(index);
  const meterNumber = `SIM${plate.serial}`;
  // Every fifth meter tells no deviation where its zone needs none, every fifth its sign the other way round.
  const sign = index % 5;
  const isUntold = model.zone.hasSummer ? fraction(mix(seed, 67), index) < (choices.untold ?? 0) : sign === 3;
  const deviation = isUntold ? "absent" : sign === 4 ? "reversed" : "standard";
  const quirk = quirkOf(choices.quirks ?? [], index);
  const { suite = 0, trialClients: tried = false, clientKeys: perClient = false } = choices;
  const one = (of: readonly number[], salt: number) =>
    of[Math.floor(fraction(mix(seed, salt), index) * of.length)]!;
  return {
    index,
    meterNumber,
    meterType: model.meterType,
    identity: {
      ...plate,
      deviceId: meterNumber,
      meterType: model.typeCode,
      category: model.category,
      currentRating: model.currentRating,
      ctRatio: one(model.ctRatios, 65),
      vtRatio: one(model.vtRatios, 66),
    },
    systemTitle,
    suite,
    keys: new PlannedKeys({ seed, meterNumber, suite, authenticates: true, perClient }),
    protection: choices.protection ?? (index % 3 === 2 ? 0x20 : 0x30),
    framing: quirk?.framing ?? choices.framing ?? (index % 4 === 3 ? "hdlc" : "wrapper"),
    habits: quirk?.habits ?? {},
    style: {
      layout: model.layout ?? choices.layout ?? (index % 2 === 1 ? "nested" : "flat"),
      time: { zone: model.zone, deviation, ...(quirk?.habits.sparseTimes ? { sparse: true } : {}) },
      deviceIdType: index % 2 === 0 ? "visible-string" : "octet-string",
    },
    deviationSign: deviation === "reversed" ? "reversed" : "standard",
    clients: tried ? [...model.clients, ...trialClients(model.clients)] : model.clients,
    localAddress: null,
  };
}

const PROTECTION_NAMES = { 0: "none", 32: "encrypted", 48: "authenticated+encrypted" } as const;

/** A file for `hes meters import`. `listen`: meter number i can be called there, on the port + i, where it can be called. */
export function importCsv(
  plans: readonly MeterPlan[],
  listen: { readonly host: string; readonly port: number } | null = null,
): string {
  const addressed = listen !== null || plans.some(({ localAddress }) => localAddress !== null);
  const lines = plans.map((plan) => {
    const called = plan.clients.length > 0 ? listen : null;
    return [
      ...[plan.meterNumber, plan.meterType, plan.identity.manufacturer, plan.identity.category],
      ...[plan.identity.logicalDeviceName, plan.systemTitle.toString("hex")],
      ...[PROTECTION_NAMES[plan.protection], String(plan.suite)],
      ...(plan.protection === 0 ? ["", "", ""] : keysOf(plan)),
      ...[FRAMING_NAMES[plan.framing], called === null ? "listen" : "dial", plan.deviationSign],
      ...[plan.style.time.zone.name, "simulated"],
      ...(addressed ? addressOf(plan, called) : []),
    ].join(",");
  });
  const header =
    "meter_number,meter_type,manufacturer,model,logical_device_name,system_title,required_protection,security_suite,guek,gak,master_key,framing,mode,deviation_sign,time_zone,group";
  return `${[addressed ? `${header},host,port,server_sap` : header, ...lines].join("\n")}\n`;
}

const hexOf = ({ guek, gak }: KeyPair) => [guek.toString("hex"), gak?.toString("hex") ?? ""];

/** Who has no objects can't be given keys. */
function keysOf({ keys, clients }: MeterPlan): string[] {
  return [...hexOf(keys), clients.length > 0 ? keys.master.toString("hex") : ""];
}

const FRAMING_NAMES = { wrapper: "wrapper", hdlc: "hdlc", mbus: "auto" } as const;

function addressOf(
  { localAddress, index }: MeterPlan,
  called: { readonly host: string; readonly port: number } | null,
): string[] {
  return called === null ? [localAddress ?? "", "", ""] : [called.host, String(called.port + index), "1"];
}

/** A file for `hes keys import`: every association of each meter, with keys where it has its own; else it has the meter's. */
export function keysCsv(plans: readonly MeterPlan[]): string {
  const withKeys = plans.some(({ keys, clients }) => clients.some(({ sap }) => keys.ofClient(sap) !== null));
  const lines = plans.flatMap(({ meterNumber, keys, clients }) =>
    clients.map(({ sap, mechanism, context }) => {
      const secret = WITHOUT_SECRET.has(mechanism) ? "" : `text:${keys.secretOf(sap)}`;
      const own = mechanism === 0 ? null : keys.ofClient(sap);
      return [
        ...[meterNumber, sap, MECHANISM_NAMES[mechanism], secret, context],
        ...(withKeys ? (own === null ? ["", ""] : hexOf(own)) : []),
      ].join(",");
    }),
  );
  const header = "meter_number,client_sap,mechanism,secret,context";
  return `${[withKeys ? `${header},guek,gak` : header, ...lines].join("\n")}\n`;
}
