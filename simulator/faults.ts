import { type Envelope, protectionKeys, seal } from "./envelope.ts";
import type { Step } from "./line-job.ts";
import { between, fraction, mix } from "./random.ts";

/** What a fault is done to: one push, and what is known around it. */
export interface Mishap {
  readonly envelope: Envelope;
  /** The notification in clear, and the counter under which it goes out. */
  readonly plaintext: Buffer;
  readonly counter: number;
  /** As it should go over the line. */
  readonly octets: Buffer;
  /** An earlier push of the same meter; null: there is none. */
  readonly earlier: Buffer | null;
  /** Lowest counter that the meter has used. */
  readonly firstCounter: number;
  /** All chance comes from it. */
  readonly seed: number;
}

/** What the head-end has to make of the octets that a fault adds; the push itself always goes out whole in the end, and counts once. */
export type Answer =
  /** Nothing to see: the push arrives as if nothing had been. */
  | "nothing"
  /** Known octets once more: acknowledged where there is an acknowledgement, applied never. */
  | "retransmission"
  /** Refused for this reason. */
  | "bad_tag"
  | "malformed"
  | "replay"
  | "unknown_system_title";

export interface Fault {
  readonly about: string;
  /** How it is done, with what the head-end has to make of it; null where it can't happen to this push. */
  readonly happen: (mishap: Mishap) => Happening | null;
}

export interface Happening {
  /** Empty: the push waits for the next one, and both go out in one piece. */
  readonly steps: readonly Step[];
  readonly answer: Answer;
  /** How often it must give that answer; once where absent. */
  readonly times?: number;
}

const octetsOf = (octets: Buffer): Step => ({ kind: "octets", octets });
const pause = (ms: number): Step => ({ kind: "pause", ms });
const hangUp = (how: "close" | "reset" | "abandon"): Step => ({ kind: "hang-up", how });

const AUTHENTICATED = 0x10;
const CLEAR_OCTETS = {
  /** Header, tag, length and system title, length, security control and counter: behind it stands what is ciphered. */
  wrapper: 28,
  /** Opening flag, format, addresses and control, header check sequence, LLC. */
  hdlc: 16,
  /** Lengths and fields. */
  mbus: 9,
} as const;
/** Place of the length, or of its last octet. */
const LENGTH_AT = { wrapper: 7, hdlc: 2, mbus: 1 } as const;
/** Pushes under counters that began anew. */
const RESET_PUSHES = 3;
/** Between two pieces of a push, real time. */
const PIECE_MS = 40;

/** A place in `octets` that belongs to the seed. */
function place(seed: number, salt: number, from: number, to: number): number {
  return Math.floor(between(seed, salt, from, to));
}

function pieces(octets: Buffer, cuts: readonly number[]): Buffer[] {
  const borders = [0, ...new Set(cuts), octets.length].sort((a, b) => a - b);
  return borders
    .slice(1)
    .map((to, index) => octets.subarray(borders[index]!, to))
    .filter(({ length }) => length > 0);
}

function slowly(parts: readonly Buffer[]): Step[] {
  return parts.flatMap((part, index) => (index === 0 ? [octetsOf(part)] : [pause(PIECE_MS), octetsOf(part)]));
}

/** What corrupted octets are refused as: the tag, where there is one, tells; else only the frame's check sequence. */
function refusedAs({ envelope }: Mishap): "bad_tag" | "malformed" {
  return envelope.framing === "wrapper" && (envelope.control & AUTHENTICATED) !== 0 ? "bad_tag" : "malformed";
}

/** What comes in clear has no counter and no key: nothing tells a copy from a new push. */
const isInClear = ({ control }: Envelope) => control === 0;

/** Whether anything can notice a changed octet: TCP has checked what a wrapper PDU without a tag carries. */
function changeIsSeen({ envelope }: Mishap): boolean {
  return envelope.framing !== "wrapper" || (envelope.control & AUTHENTICATED) !== 0;
}

/** Faults that may befall a push on its way, by name. */
export const FAULTS = {
  split: {
    about: "the octets come in several pieces",
    happen: ({ octets, seed }) => {
      const cuts = [1, 2, 3].map((salt) => place(seed, salt, 1, octets.length));
      return { steps: slowly(pieces(octets, cuts)), answer: "nothing" };
    },
  },
  merge: {
    about: "the push waits for the next one, and both come in one piece",
    happen: () => ({ steps: [], answer: "nothing" }),
  },
  slow: {
    about: "the octets come over a slow line, 48 at a time",
    happen: ({ octets }) => {
      const cuts = Array.from({ length: Math.floor(octets.length / 48) }, (_, index) => (index + 1) * 48);
      return { steps: slowly(pieces(octets, cuts)), answer: "nothing" };
    },
  },
  flip: {
    about: "a bit is flipped on the way; the push comes again whole",
    happen: (mishap) => {
      const { octets, seed, envelope } = mishap;
      if (!changeIsSeen(mishap)) return null;
      const clear = CLEAR_OCTETS[envelope.framing];
      const damaged = Buffer.from(octets);
      damaged[place(seed, 1, clear, octets.length - 4)]! ^= 1 << place(seed, 2, 0, 8);
      return { steps: [octetsOf(damaged), octetsOf(octets)], answer: refusedAs(mishap) };
    },
  },
  "bad-check-sequence": {
    about: "a frame with a wrong check sequence or sum; the push comes again whole",
    happen: ({ octets, envelope }) => {
      if (envelope.framing === "wrapper") return null;
      const damaged = Buffer.from(octets);
      damaged[octets.length - 2]! ^= 0xff;
      return { steps: [octetsOf(damaged), octetsOf(octets)], answer: "malformed" };
    },
  },
  "wrong-length": {
    about: "a length field that says one octet too many; the meter hangs up and sends the push again",
    happen: ({ octets, envelope }) => {
      const damaged = Buffer.from(octets);
      damaged[LENGTH_AT[envelope.framing]]! += 1;
      return { steps: [octetsOf(damaged), hangUp("close"), octetsOf(octets)], answer: "nothing" };
    },
  },
  "wrong-version": {
    about: "a wrapper PDU of version 2; the meter hangs up and sends the push as it should be",
    happen: ({ octets, envelope }) => {
      if (envelope.framing !== "wrapper") return null;
      const damaged = Buffer.from(octets);
      damaged[1] = 2;
      return { steps: [octetsOf(damaged), hangUp("close"), octetsOf(octets)], answer: "nothing" };
    },
  },
  drop: {
    about: "the connection breaks in mid-frame; the push comes again over a new one",
    happen: ({ octets, seed }) => {
      const part = octets.subarray(0, place(seed, 1, 1, octets.length));
      return { steps: [octetsOf(part), hangUp("reset"), octetsOf(octets)], answer: "nothing" };
    },
  },
  "half-open": {
    about: "the connection dies unnoticed in mid-frame and stays half-open; the meter goes on over a new one",
    happen: ({ octets, seed }) => {
      const part = octets.subarray(0, place(seed, 1, 1, octets.length));
      return { steps: [octetsOf(part), hangUp("abandon"), octetsOf(octets)], answer: "nothing" };
    },
  },
  reboot: {
    about: "the meter restarts: the connection is gone for a while",
    happen: ({ octets, seed }) => ({
      steps: [hangUp("reset"), pause(place(seed, 1, 500, 3_000)), octetsOf(octets)],
      answer: "nothing",
    }),
  },
  duplicate: {
    about: "the same octets twice",
    happen: ({ octets, envelope }) =>
      isInClear(envelope) ? null : { steps: [octetsOf(octets), octetsOf(octets)], answer: "retransmission" },
  },
  repeat: {
    about: "an earlier push comes once more behind a new one",
    happen: ({ octets, earlier, envelope }) =>
      earlier === null || isInClear(envelope)
        ? null
        : { steps: [octetsOf(octets), octetsOf(earlier)], answer: "retransmission" },
  },
  "old-counter": {
    about: "new contents under a counter that was used before, as an attacker has them",
    happen: ({ envelope, plaintext, counter, firstCounter, octets }) => {
      if (counter <= firstCounter || isInClear(envelope)) return null;
      const again = seal(envelope, plaintext, firstCounter);
      return { steps: [octetsOf(again), octetsOf(octets)], answer: "replay" };
    },
  },
  "counter-reset": {
    about: "the counter begins anew, and goes on where it was after three pushes",
    happen: ({ envelope, plaintext, counter, firstCounter, octets }) => {
      if (counter < firstCounter + RESET_PUSHES || isInClear(envelope)) return null;
      const steps = Array.from({ length: RESET_PUSHES }, (_, at) =>
        octetsOf(seal(envelope, plaintext, firstCounter + at)),
      );
      return { steps: [...steps, octetsOf(octets)], answer: "replay", times: RESET_PUSHES };
    },
  },
  "wrong-key": {
    about: "the push was ciphered with keys that are not this meter's",
    happen: ({ envelope, plaintext, counter, octets }) => {
      if (isInClear(envelope)) return null;
      const keys = protectionKeys({ guek: Buffer.alloc(16, 0x5a), gak: Buffer.alloc(16, 0xa5) });
      const foreign = seal({ ...envelope, keys }, plaintext, counter);
      const answer = (envelope.control & AUTHENTICATED) !== 0 ? "bad_tag" : "malformed";
      return { steps: [octetsOf(foreign), octetsOf(octets)], answer };
    },
  },
  "wrong-title": {
    about: "the push bears the system title of a meter that nobody knows",
    happen: ({ envelope, plaintext, counter, octets }) => {
      if (isInClear(envelope)) return null;
      const systemTitle = Buffer.from(envelope.systemTitle);
      systemTitle.write("XXX", "latin1");
      const foreign = seal({ ...envelope, systemTitle }, plaintext, counter);
      return { steps: [octetsOf(foreign), octetsOf(octets)], answer: "unknown_system_title" };
    },
  },
} as const satisfies Record<string, Fault>;

export type FaultName = keyof typeof FAULTS;
export const FAULT_NAMES = Object.keys(FAULTS) as FaultName[];

/** How often each fault happens: a share of all pushes, 0 … 1. */
export type FaultShares = Readonly<Partial<Record<FaultName, number>>>;

/** What happens to a push, if anything: at most one fault, told by the meter's seed and the push's number alone. */
export function faultFor(shares: FaultShares, seed: number, push: number): FaultName | null {
  let chance = fraction(mix(seed, 71), push);
  for (const name of FAULT_NAMES) {
    const share = shares[name] ?? 0;
    if (chance < share) return name;
    chance -= share;
  }
  return null;
}
