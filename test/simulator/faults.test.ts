import { describe, expect, it } from "vitest";
import type { ClockErrors } from "../../simulator/clock-error.ts";
import { protectionKeys, seal } from "../../simulator/envelope.ts";
import { FAULT_NAMES, FAULTS, type FaultShares, faultFor } from "../../simulator/faults.ts";
import { Fleet } from "../../simulator/fleet.ts";
import { frame } from "../../simulator/framing.ts";
import { QUIRK_NAMES, QUIRKS } from "../../simulator/habits.ts";

const START = Date.UTC(2026, 9, 31, 18, 28);

/** Faults that don't wait between octets, so that what goes over each connection is told by the seed alone. */
const AT_ONCE = FAULT_NAMES.filter((name) => !["split", "slow", "reboot"].includes(name));
const SHARES: FaultShares = Object.fromEntries(AT_ONCE.map((name) => [name, 0.03]));
const CLOCKS: ClockErrors = { drift: 0.3, jump: 0.3 };

/** A life of a small fleet at a head-end that takes everything; what came over each connection. */
async function life(seed: number) {
  const connections: Buffer[][] = [];
  const clock = {
    nowMs: START,
    start: () => {},
    now: () => clock.nowMs,
    realMsUntil: (ms: number) => ms - clock.nowMs,
  };
  const fleet = new Fleet({
    ...{
      meters: 24,
      seed,
      clock,
      target: { host: "127.0.0.1", port: 9 },
      faults: SHARES,
      clockErrors: CLOCKS,
    },
    choices: { quirks: QUIRK_NAMES },
    schedule: { instantSeconds: 300, incidentsPerDay: 50, history: false },
    powerCut: { afterMs: 7_200_000, darkMs: 600_000, backWithinMs: 600_000 },
    dial: async () => {
      const octets: Buffer[] = [];
      connections.push(octets);
      const listeners: ((error: null) => void)[] = [];
      const end = () => {
        line.closed = true;
        queueMicrotask(() => {
          for (const listener of listeners) listener(null);
        });
      };
      const line = {
        closed: false,
        write: (chunk: Buffer) => octets.push(chunk) > 0,
        end,
        close: end,
        destroy: end,
        onClose: (listener: (error: null) => void) => listeners.push(listener),
        onDrain: () => {},
      };
      return line;
    },
  });
  for (let hour = 1; hour <= 4; hour++) {
    clock.nowMs = START + hour * 3_600_000;
    for (let i = 0; i < 40; i++) {
      fleet.advance();
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
  }
  await fleet.stop();
  return { fleet, streams: connections.map((octets) => Buffer.concat(octets).toString("hex")).sort() };
}

describe("chance", () => {
  it("gives the same octets twice from the same seed, faults, quirks and clocks included", async () => {
    const [one, two, other] = [await life(11), await life(11), await life(12)];
    expect(one.streams.length).toBeGreaterThan(40);
    expect(two.streams).toEqual(one.streams);
    expect(two.fleet.statistics).toEqual(one.fleet.statistics);
    expect(other.streams).not.toEqual(one.streams);
    expect(Object.keys(one.fleet.statistics.faults).sort()).toEqual([...AT_ONCE].sort());
  });

  it("lets a fault happen as often as its share says, and at most one to a push", () => {
    const shares = { flip: 0.1, drop: 0.05 };
    const found = Array.from({ length: 20_000 }, (_, push) => faultFor(shares, 5, push));
    const count = (name: string | null) => found.filter((fault) => fault === name).length;
    expect(Math.abs(count("flip") - 2_000)).toBeLessThan(200);
    expect(Math.abs(count("drop") - 1_000)).toBeLessThan(150);
    expect(count("flip") + count("drop") + count(null)).toBe(20_000);
  });
});

describe("faults", () => {
  const envelope = {
    systemTitle: Buffer.from("4142430000000001", "hex"),
    keys: protectionKeys({ guek: Buffer.alloc(16, 1), gak: Buffer.alloc(16, 2) }),
    control: 0x30,
    framing: "wrapper",
  } as const;
  const plaintext = Buffer.from("0f00000001000203090c", "hex");
  const octets = seal(envelope, plaintext, 9);
  const mishap = {
    envelope,
    plaintext,
    counter: 9,
    octets,
    earlier: Buffer.from("aa", "hex"),
    firstCounter: 3,
    seed: 77,
  };

  it.each(FAULT_NAMES)("%s lets the push arrive whole in the end", (name) => {
    const happening = FAULTS[name].happen(mishap);
    if (name === "merge" || name === "bad-check-sequence") return expect(happening?.steps ?? []).toEqual([]);
    // What follows the last hang-up holds the push, octet for octet and unbroken.
    let stream = Buffer.alloc(0);
    for (const step of happening!.steps) {
      if (step.kind === "hang-up") stream = Buffer.alloc(0);
      else if (step.kind === "octets") stream = Buffer.concat([stream, step.octets]);
    }
    expect(stream.includes(octets)).toBe(true);
  });

  it("begins a counter anew as a meter does that has lost it: the first counters once more, then its own", () => {
    const { steps, answer, times } = FAULTS["counter-reset"].happen(mishap)!;
    expect([answer, times]).toEqual(["replay", 3]);
    // Wrapper header 8, tag 1, title 9, length 1, security control 1: the counter stands behind them.
    const counters = steps.map((step) => (step as { octets: Buffer }).octets.readUInt32BE(20));
    expect(counters).toEqual([3, 4, 5, 9]);
    expect(FAULTS["counter-reset"].happen({ ...mishap, counter: 5 })).toBeNull();
  });

  it("never flips a bit that nothing would notice", () => {
    const unmarked = { ...mishap, envelope: { ...envelope, control: 0x20 } };
    expect(FAULTS.flip.happen(unmarked)).toBeNull();
    const steps = FAULTS.flip.happen(mishap)!.steps;
    const damaged = (steps[0] as { octets: Buffer }).octets;
    const differing = [...damaged].filter((octet, at) => octet !== octets[at]);
    expect(differing.length).toBe(1);
    expect(damaged.length).toBe(octets.length);
  });
});

describe("quirks", () => {
  const apdu = Buffer.from("0f000000010002010f00", "hex");
  const octets = (name: keyof typeof QUIRKS, framing: "wrapper" | "hdlc") =>
    frame(apdu, framing, QUIRKS[name].habits).toString("hex");

  it("are laid out as they were seen", () => {
    expect(octets("odd-port", "wrapper")).toBe(`000100660040000a${apdu.toString("hex")}`);
    expect(octets("trailing-octet", "wrapper")).toBe(`000100010040000a${apdu.toString("hex")}00`);
    // Six flags in front, control 13; control 10 and 30 as I frames of Kaifa and of an Indian meter.
    expect(octets("idle-flags", "hdlc")).toMatch(/^7e7e7e7e7e7e7ea016810313/);
    expect(octets("i-frame", "hdlc")).toMatch(/^7ea016810310/);
    expect(octets("control-30", "hdlc")).toMatch(/^7ea016810330/);
    // Server 1, physical device 256 (DLMS-FACTS 19.1), client 64.
    expect(octets("four-octet-address", "hdlc")).toMatch(/^7ea019810002040113/);
    expect(octets("noise", "hdlc")).toMatch(/^000d0aff55417ea0/);
    // Tag, last block, block 1, nothing acknowledged, ten octets.
    expect(octets("control-03", "hdlc")).toMatch(/^7ea016810303/);
    expect(octets("control-5e", "hdlc")).toMatch(/^7ea01681035e/);
    expect(octets("same-address", "hdlc")).toMatch(/^7ea016030313/);
    // No E6 E7 00: the APDU stands behind the header check sequence.
    expect(octets("no-llc", "hdlc")).toMatch(/^7ea013810313....0f000000010002010f00....7e$/);
    expect(octets("zero-header", "wrapper")).toBe(`0000000000000000${apdu.toString("hex")}`);
    expect(octets("plc-llc", "wrapper")).toBe(`900101${apdu.toString("hex")}`);
    expect(octets("no-frame", "wrapper")).toBe(apdu.toString("hex"));
    expect(octets("text", "wrapper")).toMatch(/^69642c310d0a00010001/);
    expect(octets("unknown-tag", "wrapper")).toMatch(/^000100010040000748010203040506000100010040000a0f/);
    // Without its closing flag, and 96 octets behind it.
    expect(octets("signature", "hdlc")).toMatch(/^7ea016(?:..){20}(?:..){96}$/);
    expect(octets("signature", "hdlc")).not.toMatch(/^7e(?:..)*7e/);
    // A0 17 where 22 octets stand between the flags.
    expect(octets("length-with-flag", "hdlc")).toMatch(/^7ea017(?:..){20}7e$/);
    expect(octets("blocks", "wrapper")).toBe(`0001000100400011e08100010000${"0a"}${apdu.toString("hex")}`);
  });

  it("share one flag between segments", () => {
    const long = frame(Buffer.alloc(200, 1), "hdlc", QUIRKS["shared-flag"].habits);
    const first = 2 + (long.readUInt16BE(1) & 0x7ff);
    expect([long[first - 1], long[first]! >> 4]).toEqual([0x7e, 0xa]);
  });
});
