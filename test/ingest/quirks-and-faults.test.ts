import { describe, expect, it } from "vitest";
import { type Envelope, notification, protectionKeys, seal } from "../../simulator/envelope.ts";
import { FAULT_NAMES, FAULTS, type FaultName } from "../../simulator/faults.ts";
import { type Habits, QUIRK_NAMES, QUIRKS, type QuirkName } from "../../simulator/habits.ts";
import type { Step } from "../../simulator/line-job.ts";
import { INDIA } from "../../simulator/local-time.ts";
import { fraction, mix } from "../../simulator/random.ts";
import { StreamDeframer } from "../../src/ingest/deframer.ts";
import { ReceivedBlocks } from "../../src/ingest/received-blocks.ts";
import { DEFAULT_LIMITS } from "../../src/limits.ts";

/*
 * Three pushes of a meter with each quirk, of which the one in the middle meets with each fault: all three come out of their framing, octet
 * for octet as the meter has ciphered them. What a fault adds may come out as well, or be discarded: later steps refuse it.
 */
const SYSTEM_TITLE = Buffer.from("53494d0000000001", "hex");
const KEYS = protectionKeys({ guek: Buffer.alloc(16, 1), gak: Buffer.alloc(16, 2) });
/** Octets of a body: one frame, and several segments. */
const BODIES = [40, 1_400];

interface Push {
  readonly plaintext: Buffer;
  readonly counter: number;
  /** As it goes over the line, and without frames. */
  readonly octets: Buffer;
  readonly apdu: string;
}

function pushOf(envelope: Envelope, octets: number, counter: number): Push {
  const content = Buffer.from(Array.from({ length: octets }, (_, at) => fraction(counter, at) * 256));
  const body = Buffer.concat([Buffer.from([9, 0x82, octets >> 8, octets & 0xff]), content]);
  const { habits = {} } = envelope;
  const plaintext = notification(body, counter, null, { zone: INDIA, deviation: "standard" }, habits);
  const bare: Habits = habits.longLengths ? { header: "none", longLengths: true } : { header: "none" };
  const apdu = seal({ ...envelope, framing: "wrapper", habits: bare }, plaintext, counter).toString("hex");
  return { plaintext, counter, octets: seal(envelope, plaintext, counter), apdu };
}

/** One connection after the other, as the steps hang up. */
function received(steps: readonly Step[]): Set<string> {
  const apdus = new Set<string>();
  let now = 0;
  let deframer = new StreamDeframer({ framing: "auto", limits: DEFAULT_LIMITS });
  let blocks = new ReceivedBlocks(DEFAULT_LIMITS);
  const take = (finishing: boolean) => {
    for (;;) {
      const next = deframer.next(now);
      if (next.kind === "frame") {
        const unblocked = blocks.take(next.value, now);
        if (unblocked.kind === "complete") apdus.add(unblocked.value.apdu.toString("hex"));
      } else if (next.kind === "need-more") {
        if (!finishing || deframer.deadline() === null) return;
        deframer.handleTimeout(Number.POSITIVE_INFINITY);
      }
    }
  };
  for (const step of steps) {
    if (step.kind === "pause") now += step.ms;
    else if (step.kind === "octets") {
      deframer.push(step.octets, now);
      take(false);
    } else {
      take(true);
      deframer = new StreamDeframer({ framing: "auto", limits: DEFAULT_LIMITS });
      blocks = new ReceivedBlocks(DEFAULT_LIMITS);
    }
  }
  take(true);
  return apdus;
}

/** What did not come out, by fault; `null`: none. */
function lost(framing: "hdlc" | "wrapper", habits: Habits): string[] {
  const envelope: Envelope = { systemTitle: SYSTEM_TITLE, keys: KEYS, control: 0x30, framing, habits };
  const missing: string[] = [];
  for (const [round, octets] of BODIES.entries()) {
    const [before, push, after] = [5, 6, 7].map((counter) => pushOf(envelope, octets, counter));
    for (const fault of [null, ...FAULT_NAMES]) {
      const steps = stepsOf(fault, envelope, push!, before!, mix(round, 1));
      if (steps === null) continue;
      const whole = ({ octets }: Push): Step => ({ kind: "octets", octets });
      const apdus = received([whole(before!), ...steps, whole(after!)]);
      for (const [name, { apdu }] of Object.entries({ before: before!, push: push!, after: after! })) {
        if (!apdus.has(apdu)) missing.push(`${fault}: the ${name} of ${octets} octets`);
      }
    }
  }
  return missing;
}

/** null where the fault can't happen to this push. */
function stepsOf(
  fault: FaultName | null,
  envelope: Envelope,
  { plaintext, counter, octets }: Push,
  earlier: Push,
  seed: number,
): readonly Step[] | null {
  if (fault === null || fault === "merge") return [{ kind: "octets", octets }];
  const mishap = { envelope, plaintext, counter, octets, earlier: earlier.octets, firstCounter: 1, seed };
  return FAULTS[fault].happen(mishap)?.steps ?? null;
}

const cases = ([null, ...QUIRK_NAMES] as const).flatMap((quirk: QuirkName | null) => {
  const { framing, habits } = quirk === null ? { framing: null, habits: {} } : QUIRKS[quirk];
  const framings = framing === null ? (["hdlc", "wrapper"] as const) : [framing];
  return framings.map((one) => ({ quirk: quirk ?? "no quirk", framing: one, habits }));
});

describe("whatever fault a push meets with", () => {
  it.each(cases)("it arrives from a meter with $quirk, in $framing frames", ({ framing, habits }) => {
    expect(lost(framing, habits)).toEqual([]);
  });
});
