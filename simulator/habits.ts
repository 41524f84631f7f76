import type { HdlcEnds } from "../src/dlms/hdlc/outgoing.ts";

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
  /** Octets in front of each push that mean nothing. */
  readonly noise?: Buffer;
  /** Octets behind each push that mean nothing. */
  readonly trailer?: Buffer;
  /** Pushes in blocks of general block transfer of so many octets. */
  readonly blockOctets?: number;
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
  noise: {
    about: "octets that mean nothing between frames",
    framing: "hdlc",
    habits: { noise: Buffer.from("000d0aff5541", "hex") },
  },
} as const satisfies Record<string, Quirk>;

export type QuirkName = keyof typeof QUIRKS;
export const QUIRK_NAMES = Object.keys(QUIRKS) as QuirkName[];

/** Meter number `index` has one of `names` by turns, and none every so often. */
export function quirkOf(names: readonly QuirkName[], index: number): Quirk | null {
  const name = names[index % (names.length + 1)];
  return name === undefined ? null : QUIRKS[name];
}
