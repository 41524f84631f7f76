import { createHash } from "node:crypto";
import type { SecuritySuite } from "../src/dlms/security/security-control.ts";
import type { Identity } from "./capture.ts";
import { TRIAL_CLIENTS } from "./device/trial-clients.ts";
import type { LineFraming } from "./framing.ts";
import { type Habits, type QuirkName, quirkOf } from "./habits.ts";
import type { Model } from "./model.ts";
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
  /** 16 octets, 32 in suite 2; so is the next, null where it authenticates nothing. */
  readonly guek: Buffer;
  readonly gak: Buffer | null;
  /** Wraps keys that a head-end transfers. */
  readonly master: Buffer;
  /** 0 in clear, 0x20 encrypted only, 0x30 authenticated and encrypted, as the security control octet says. */
  readonly protection: 0 | 0x20 | 0x30;
  readonly framing: LineFraming;
  readonly habits: Habits;
  readonly style: BodyStyle;
  readonly deviationSign: "standard" | "reversed";
  readonly clients: readonly PlannedClient[];
  /** Passwords and HLS secrets by client SAP: 16 characters, as makers print them. */
  readonly secrets: ReadonlyMap<number, string>;
  /** Keys by client SAP, where each association has its own; the rest have the meter's. */
  readonly clientKeys: ReadonlyMap<number, { readonly guek: Buffer; readonly gak: Buffer }>;
  /** Address that it calls from, where that is what it is known by; null: any. */
  readonly localAddress: string | null;
}

/** An association that a head-end can be told of. */
export interface PlannedClient {
  readonly sap: number;
  readonly mechanism: (typeof MECHANISM_NAMES)[number];
  readonly context: string;
}

/** Fixed for all meters, or null: meters differ, each by its number. */
export interface PlanChoices {
  readonly protection: 0x20 | 0x30 | null;
  readonly framing: "wrapper" | "hdlc" | null;
  readonly layout: Layout | null;
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
const WITHOUT_SECRET: ReadonlySet<string> = new Set(["none", "hls5"]);

/** Every client of a meter, its mechanism, and how the keys' file names its context. */
function clientsOf(model: Model, trialClients: boolean): PlannedClient[] {
  const own = model.clients.map(({ sap, mechanism }) => ({
    sap,
    mechanism: MECHANISM_NAMES[mechanism],
    context: "auto",
  }));
  if (!trialClients) return own;
  const trial = TRIAL_CLIENTS.map(({ clientSap, mechanism, ciphered }) => ({
    sap: clientSap,
    mechanism: MECHANISM_NAMES[mechanism],
    context: ciphered ? "ciphered" : "plain",
  }));
  return [...own, ...trial];
}

function secretOf(seed: number, meterNumber: string, clientSap: number): string {
  return keyOf(seed, meterNumber, `secret ${clientSap}`).toString("hex").slice(0, 16);
}

/** A key of 16 octets, 32 at most, that belongs to (seed, meter, purpose). Simulated meters guard nothing. */
export function keyOf(seed: number, meterNumber: string, purpose: string, octets = 16): Buffer {
  return createHash("sha256").update(`${seed}/${meterNumber}/${purpose}`).digest().subarray(0, octets);
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
  const isUntold = sign === 3 && !model.zone.hasSummer;
  const deviation = isUntold ? "absent" : sign === 4 ? "reversed" : "standard";
  const quirk = quirkOf(choices.quirks ?? [], index);
  const { suite = 0, trialClients = false } = choices;
  const keyOctets = suite === 2 ? 32 : 16;
  const clients = clientsOf(model, trialClients);
  const proven = () => clients.filter(({ mechanism }) => mechanism !== "none");
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
    guek: keyOf(seed, meterNumber, "guek", keyOctets),
    gak: keyOf(seed, meterNumber, "gak", keyOctets),
    master: keyOf(seed, meterNumber, "master", keyOctets),
    protection: choices.protection ?? (index % 3 === 2 ? 0x20 : 0x30),
    framing: quirk?.framing ?? choices.framing ?? (index % 4 === 3 ? "hdlc" : "wrapper"),
    habits: quirk?.habits ?? {},
    style: {
      layout: model.layout ?? choices.layout ?? (index % 2 === 1 ? "nested" : "flat"),
      time: { zone: model.zone, deviation },
      deviceIdType: index % 2 === 0 ? "visible-string" : "octet-string",
    },
    deviationSign: deviation === "reversed" ? "reversed" : "standard",
    clients,
    localAddress: null,
    get secrets() {
      return new Map(proven().map(({ sap }) => [sap, secretOf(seed, meterNumber, sap)] as const));
    },
    get clientKeys() {
      const own = choices.clientKeys ? proven() : [];
      const key = (purpose: string) => keyOf(seed, meterNumber, purpose, keyOctets);
      return new Map(
        own.map(({ sap }) => [sap, { guek: key(`guek ${sap}`), gak: key(`gak ${sap}`) }] as const),
      );
    },
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

/** Who has no objects can't be given keys. */
function keysOf({ guek, gak, master, clients }: MeterPlan): string[] {
  return [guek.toString("hex"), gak?.toString("hex") ?? "", clients.length > 0 ? master.toString("hex") : ""];
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
  const withKeys = plans.some(({ clientKeys }) => clientKeys.size > 0);
  const lines = plans.flatMap(({ meterNumber, secrets, clients, clientKeys }) =>
    clients.map(({ sap, mechanism, context }) => {
      const secret = WITHOUT_SECRET.has(mechanism) ? "" : `text:${secrets.get(sap)}`;
      const own = clientKeys.get(sap);
      const keys = [own?.guek.toString("hex") ?? "", own?.gak.toString("hex") ?? ""];
      return [meterNumber, sap, mechanism, secret, context, ...(withKeys ? keys : [])].join(",");
    }),
  );
  const header = "meter_number,client_sap,mechanism,secret,context";
  return `${[withKeys ? `${header},guek,gak` : header, ...lines].join("\n")}\n`;
}
