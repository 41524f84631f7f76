import { hdlcAddress } from "../src/dlms/hdlc/address.ts";
import type { HdlcEnds } from "../src/dlms/hdlc/outgoing.ts";
import type { HEADERS, StrayName } from "./strays.ts";

/** What a meter does otherwise than the standard says, or in a way that few do. Absent: as the standard says. */
export interface Habits {
  /** The long-invoke-id-and-priority, where it is always the same. */
  readonly longInvokeId?: number;
  /** Bits of the long-invoke-id-and-priority above the invoke id. */
  readonly invokeBits?: number;
  /** The date-time of a notification as tagged Data, 09 0C. */
  readonly timeTagged?: boolean;
  /** The length of the ciphered content always in three octets, 82 00 7B. */
  readonly longLengths?: boolean;
  readonly sourceWPort?: number;
  /** Information field of one HDLC frame. */
  readonly informationOctets?: number;
  /** Control octet of an unsegmented HDLC push. */
  readonly control?: number;
  /** HDLC addresses, where they are no SAPs of IS 15959. */
  readonly ends?: HdlcEnds;
  /** Of M-Bus frames. */
  readonly mbusSaps?: { readonly stsap: number; readonly dtsap: number };
  /** Lower HDLC address: the source address has four octets then. */
  readonly physicalDevice?: number;
  /** One flag between two frames, or six in front of each. */
  readonly flags?: "shared" | "idle";
  /** LLC header of HDLC frames. */
  readonly llc?: Buffer;
  /** What is odd about each HDLC frame. */
  readonly frames?: "counting-their-flag" | "signed";
  /** Octets in place of a wrapper header. */
  readonly header?: keyof typeof HEADERS;
  /** What stands in front of each push and is none. */
  readonly stray?: StrayName;
  /** Octets behind each push that mean nothing. */
  readonly trailer?: Buffer;
  /** Pushes in blocks of general block transfer of so many octets. */
  readonly blockOctets?: number;
  /** Which blocks come more than once: the last one, alone, before the first; the first one twice; each twice. */
  readonly repeats?: "first-block" | "last-block" | "each-block";
  /** Day of week told, hundredths and status unspecified in every date-time. */
  readonly sparseTimes?: true;
  /** Longest APDU that it takes in an association. */
  readonly pduOctets?: number;
}

export interface Quirk {
  readonly about: string;
  /** The framing in which it can be seen; null: any. */
  readonly framing: "wrapper" | "hdlc" | null;
  readonly habits: Habits;
}

/**
 * Quirks seen in the field, by name. What a head-end must do with each is the same: store what was pushed.
 */
export const QUIRKS = {
  "tagged-time": {
    about: "the notification's date-time is tagged, 09 0C (Norwegian Kaifa meters)",
    framing: null,
    habits: { timeTagged: true },
  },
  "invoke-bits": {
    about: "the long-invoke-id's highest octet is 80 (high priority)",
    framing: null,
    habits: { invokeBits: 0x8000_0000 },
  },
  "long-lengths": {
    about: "lengths in three octets where one is enough, 82 00 7B",
    framing: null,
    habits: { longLengths: true },
  },
  "odd-port": {
    about: "pushes from another wrapper port than 1",
    framing: "wrapper",
    habits: { sourceWPort: 0x66 },
  },
  "trailing-octet": {
    about: "one octet behind each wrapper PDU",
    framing: "wrapper",
    habits: { trailer: Buffer.from([0x00]) },
  },
  blocks: {
    about: "pushes in general block transfer, all blocks at once",
    framing: null,
    habits: { blockOctets: 100 },
  },
  "blocks-in-segments": {
    about: "blocks of general block transfer, each in several HDLC segments",
    framing: "hdlc",
    habits: { blockOctets: 150, informationOctets: 64 },
  },
  "small-segments": {
    about: "HDLC information fields of 64 octets, cut anywhere",
    framing: "hdlc",
    habits: { informationOctets: 64 },
  },
  "shared-flag": {
    about: "one flag ends a frame and begins the next",
    framing: "hdlc",
    habits: { informationOctets: 128, flags: "shared" },
  },
  "idle-flags": { about: "six flags in front of each frame", framing: "hdlc", habits: { flags: "idle" } },
  "i-frame": {
    about: "pushes in I frames, control 10, as if they were connected (Kaifa)",
    framing: "hdlc",
    habits: { control: 0x10, informationOctets: 2_000 },
  },
  "control-30": {
    about: "pushes in frames with control 30 (seen in India)",
    framing: "hdlc",
    habits: { control: 0x30, informationOctets: 2_000 },
  },
  "four-octet-address": {
    about: "source address of four octets, destination of one",
    framing: "hdlc",
    habits: { physicalDevice: 256 },
  },
  "control-03": {
    about: "pushes in UI frames with control 03, poll bit not set",
    framing: "hdlc",
    habits: { control: 0x03, informationOctets: 2_000 },
  },
  "control-5e": {
    about: "pushes in frames with control 5E (seen in India)",
    framing: "hdlc",
    habits: { control: 0x5e, informationOctets: 2_000 },
  },
  "same-address": {
    about: "client and server have the same HDLC address, 03",
    framing: "hdlc",
    habits: { ends: { destination: hdlcAddress(1), source: hdlcAddress(1) } },
  },
  "long-frames": {
    about: "whole pushes in one frame, longer than 255 octets",
    framing: "hdlc",
    habits: { informationOctets: 2_000 },
  },
  "tiny-segments": {
    about: "HDLC information fields of 8 octets: dozens of segments for one push",
    framing: "hdlc",
    habits: { informationOctets: 8 },
  },
  "no-llc": {
    about: "HDLC frames without the LLC header",
    framing: "hdlc",
    habits: { llc: Buffer.alloc(0) },
  },
  "plc-llc": {
    about: "the LLC header of power line communication, 90 xx xx, and no frame (gateways)",
    framing: "wrapper",
    habits: { header: "plc" },
  },
  "no-frame": {
    about: "APDUs without any frame (gateways)",
    framing: "wrapper",
    habits: { header: "none" },
  },
  "length-with-flag": {
    about: "HDLC lengths that count the closing flag, with check sequences over them (Landis+Gyr E650)",
    framing: "hdlc",
    habits: { frames: "counting-their-flag" },
  },
  signature: {
    about: "a hash and a signature behind each frame, whose closing flag is missing",
    framing: "hdlc",
    habits: { frames: "signed", informationOctets: 2_000 },
  },
  "half-frame": {
    about: "the rear half of a frame in front of each push, as if heard from the middle",
    framing: "hdlc",
    habits: { stray: "half-frame" },
  },
  "lone-segment": {
    about: "a segment in front of each push whose others never come",
    framing: "hdlc",
    habits: { stray: "lone-segment" },
  },
  "text-frame": {
    about: "a right HDLC frame in front of each push that holds a text",
    framing: "hdlc",
    habits: { stray: "text-frame" },
  },
  noise: {
    about: "octets that mean nothing between frames",
    framing: "hdlc",
    habits: { stray: "noise" },
  },
  text: {
    about: "a line of plain ASCII in front of each push",
    framing: "wrapper",
    habits: { stray: "text" },
  },
  "unknown-tag": {
    about: "a wrapper PDU in front of each push whose APDU has a tag that does not exist",
    framing: "wrapper",
    habits: { stray: "unknown-tag" },
  },
  "zero-header": {
    about: "eight zeros in place of the wrapper header (SMR 5)",
    framing: "wrapper",
    habits: { header: "zeros" },
  },
  "blocks-restarted": {
    about: "general block transfer whose first block comes twice",
    framing: null,
    habits: { blockOctets: 100, repeats: "first-block" },
  },
  "blocks-doubled": {
    about: "general block transfer whose blocks all come twice",
    framing: null,
    habits: { blockOctets: 100, repeats: "each-block" },
  },
  "last-block-first": {
    about: "the last block of a general block transfer alone in front of all of them",
    framing: null,
    habits: { blockOctets: 100, repeats: "last-block" },
  },
  "sparse-times": {
    about: "date-times with the day of week, and without hundredths and clock status (FF)",
    framing: null,
    habits: { sparseTimes: true },
  },
  "small-pdu": {
    about: "takes and sends APDUs of 100 octets in associations: a dozen blocks for a small profile",
    framing: null,
    habits: { pduOctets: 100 },
  },
} as const satisfies Record<string, Quirk>;

export type QuirkName = keyof typeof QUIRKS;
export const QUIRK_NAMES = Object.keys(QUIRKS) as QuirkName[];

/** Meter number `index` has one of `names` by turns, and none every so often. */
export function quirkOf(names: readonly QuirkName[], index: number): Quirk | null {
  const name = names[index % (names.length + 1)];
  return name === undefined ? null : QUIRKS[name];
}
