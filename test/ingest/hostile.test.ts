import { createHash } from "node:crypto";
import { describe, expect, it, vi } from "vitest";
import { ciphered, notification, structure, u32, wrapped } from "../support/wire.ts";
import { cell, heldBack, meterOf, type PushVector, Surroundings, vectorOf } from "./surroundings.ts";

const encrypted = vectorOf("d1-instant-flat-e-wrapper-int");
const authenticated = vectorOf("d1-instant-flat-ae-wrapper-f32-dev");
const plain = vectorOf("d1-instant-flat-none-wrapper-int");

/** Octets of a vector with some of them changed; offsets count from the wrapper header. */
function changed({ hex }: PushVector, change: (octets: Buffer) => void): Buffer {
  const octets = Buffer.from(hex, "hex");
  change(octets);
  return octets;
}

/* 00010001 0040 00aa · DB · 08 title · length(1 or 2) · control · counter. Lengths over 127 take two octets. */
const CONTROL = 8 + 1 + 9 + 2;
const COUNTER = CONTROL + 1;

describe("counters", () => {
  it("a retransmission is acknowledged again and stored once", async () => {
    const around = new Surroundings([authenticated]);
    await around.send(authenticated.hex, authenticated.hex);
    expect(around.verdicts.sort()).toEqual(["applied", "retransmission"]);
    expect(around.committed).toHaveLength(1);
    await around.send(authenticated.hex);
    expect(around.committed).toHaveLength(1);
    expect(around.refused).toEqual([]);
  });

  it("a lower counter on other octets is a replay", async () => {
    const around = new Surroundings([authenticated]);
    around.counter = { high: 0xffff_fff0, digests: [] };
    await around.send(authenticated.hex);
    expect(around.refused).toEqual(["replay"]);
    expect(around.committed).toEqual([]);
  });

  it("what was accepted before a restart is a retransmission still", async () => {
    const around = new Surroundings([authenticated]);
    const apdu = Buffer.from(authenticated.hex, "hex").subarray(8);
    const digest = createHash("sha256").update(apdu).digest().toString("latin1", 0, 16);
    const counter = Buffer.from(authenticated.hex, "hex").readUInt32BE(COUNTER);
    around.counter = { high: counter, digests: [{ counter, digest }] };
    await around.send(authenticated.hex);
    expect(around.verdicts).toEqual(["retransmission"]);
    expect(around.committed).toEqual([]);
  });

  it("without a tag, a jump goes to quarantine and moves nothing", async () => {
    const around = new Surroundings([encrypted]);
    const counter = Buffer.from(encrypted.hex, "hex").readUInt32BE(COUNTER);
    expect(counter).toBe(0x3fd5);
    around.counter = { high: 0, digests: [] };
    await around.send(encrypted.hex);
    expect(around.committed[0]!.counter).toMatchObject({ counter });
    const limited = new Surroundings([encrypted], { counterJumpMax: 1_000 });
    limited.counter = { high: 0, digests: [] };
    await limited.send(encrypted.hex);
    expect(limited.verdicts).toEqual(["quarantined"]);
    expect(limited.committed[0]).toMatchObject({
      counter: null,
      rows: [],
      quarantine: { reason: "counter_jump" },
    });
  });

  it("with a tag, a jump is the meter's own", async () => {
    const around = new Surroundings([authenticated], { counterJumpMax: 1 });
    around.counter = { high: 1, digests: [] };
    await around.send(authenticated.hex);
    expect(around.verdicts).toEqual(["applied"]);
    const counter = Buffer.from(authenticated.hex, "hex").readUInt32BE(COUNTER);
    expect(around.committed[0]!.counter).toMatchObject({ counter });
  });

  it("a counter that stands still is taken where the meter may", async () => {
    const counter = Buffer.from(authenticated.hex, "hex").readUInt32BE(COUNTER);
    for (const [counterMayStandStill, verdict] of [
      [true, "applied"],
      [false, "refused"],
    ] as const) {
      const meters = [meterOf(authenticated, { counterMayStandStill })];
      const around = new Surroundings([authenticated], { meters });
      around.counter = { high: counter, digests: [{ counter, digest: "\0".repeat(16) }] };
      await around.send(authenticated.hex);
      expect(around.verdicts).toEqual([verdict]);
      if (verdict === "applied") expect(around.committed[0]!.counter).toBeNull();
    }
  });
});

describe("forged frames", () => {
  const forged = (change: (octets: Buffer) => void, vector = authenticated) => changed(vector, change);
  const cases: [string, Buffer, string, PushVector[]][] = [
    [
      "a wrong tag",
      forged((o) => o.writeUInt8(o[o.length - 1]! ^ 1, o.length - 1)),
      "bad_tag",
      [authenticated],
    ],
    ["a changed octet", forged((o) => o.writeUInt8(o[40]! ^ 1, 40)), "bad_tag", [authenticated]],
    ["another counter", forged((o) => o.writeUInt32BE(0xffff_ffff, COUNTER)), "bad_tag", [authenticated]],
    ["protection taken away", forged((o) => o.writeUInt8(0x20, CONTROL)), "weak_protection", [authenticated]],
    ["another suite", forged((o) => o.writeUInt8(0x31, CONTROL)), "wrong_suite", [authenticated]],
    ["a compressed APDU", forged((o) => o.writeUInt8(0xb0, CONTROL)), "unsupported", [authenticated]],
    [
      "a high counter without a tag",
      forged((o) => o.writeUInt32BE(0xffff_ff00, COUNTER), encrypted),
      "malformed",
      [encrypted],
    ],
  ];

  it.each(cases)("%s is refused as it should, and the meter goes on", async (_, octets, reason, vectors) => {
    const around = new Surroundings(vectors);
    const connection = around.connect();
    for (let i = 0; i < 200; i++) connection.receive(octets);
    connection.receive(vectors[0]!.hex);
    await around.ingest.drain();
    expect(around.refused).toEqual(Array(200).fill(reason));
    expect(around.verdicts.filter((verdict) => verdict === "applied")).toEqual(["applied"]);
    expect(around.committed).toHaveLength(1);
    // One row for all of them, not one each.
    expect(around.securityEvents).toMatchObject([{ source: "192.0.2.1", reason, count: 200 }]);
    expect(around.lookUps).toBeLessThan(5);
  });

  it("plaintext is refused where the meter must cipher", async () => {
    const around = new Surroundings([plain], { meters: [meterOf(plain, { requiredProtection: 0x20 })] });
    await around.send(plain.hex);
    expect(around.refused).toEqual(["plaintext_refused"]);
    expect(around.committed).toEqual([]);
  });

  it("a body that names another meter is refused", async () => {
    const other = meterOf(plain, { systemTitle: null });
    const meters = [meterOf(authenticated, { meterNumber: "somebody" }), other];
    const around = new Surroundings([authenticated, plain], {
      meters: [meters[0]!, { ...other, meterNumber: authenticated.meter.device_id }],
    });
    await around.send(authenticated.hex);
    expect(around.refused).toEqual(["identity_mismatch"]);
    expect(around.committed).toEqual([]);
  });

  it("without a tag, a body that decodes and says nothing of whose it is is no proof of the key: refused, and the meter goes on", async () => {
    const { guek, gak, system_title: title } = encrypted.keys!;
    const keys = {
      systemTitle: Buffer.from(title, "hex"),
      guek: Buffer.from(guek, "hex"),
      gak: Buffer.from(gak, "hex"),
    };
    const around = new Surroundings([encrypted]);
    // A structure of one number: an octet of a counter that was put forward gives such bodies, too, now and then.
    const forged = ciphered(notification(1, structure(u32(1))), 0x20, 0xffff_0000, keys);
    await around.send(wrapped(forged), encrypted.hex);
    expect(around.refused).toEqual(["malformed"]);
    expect(around.verdicts.filter((verdict) => verdict !== "refused")).toEqual(["applied"]);
    expect(around.committed).toHaveLength(1);
  });

  it("without a tag, a body that names nobody known moves no counter", async () => {
    const around = new Surroundings([encrypted], {
      meters: [meterOf(encrypted, { meterNumber: "nickname" })],
    });
    await around.send(encrypted.hex, encrypted.hex);
    expect(around.committed).toHaveLength(1);
    expect(around.committed[0]!.counter).toBeNull();
    expect(around.verdicts.sort()).toEqual(["applied", "retransmission"]);
  });
});

describe("what nobody knows", () => {
  it("an unknown system title is kept in a ring, and refused", async () => {
    const around = new Surroundings([authenticated], {
      meters: [],
      limits: { quarantineFramesPerSource: 3 },
    });
    await around.send(...Array(20).fill(authenticated.hex));
    expect(new Set(around.refused)).toEqual(new Set(["unknown_system_title"]));
    expect(around.kept).toHaveLength(3);
    expect(around.kept[0]).toMatchObject({ source: "47494e00000001f6", reason: "unknown_system_title" });
  });

  it("a meter without keys is kept too, and adopted once it has them", async () => {
    const around = new Surroundings([authenticated], { meters: [meterOf(authenticated, { keys: [] })] });
    await around.send(authenticated.hex);
    expect(around.refused).toEqual(["key_missing"]);
    const { apdu, framing, peer, receivedAtMs, clientSap, serverSap } = around.kept[0]!;
    around.meters[0] = meterOf(authenticated);
    around.counter = { high: 0xffff_0000, digests: [] };
    const arrival = { apdu, framing, peer, receivedAtMs, clientSap, serverSap, lastMeter: null };
    expect(await around.ingest.adopt({ ...arrival, counterRule: "kept" })).toBe(true);
    expect(around.committed[0]!.rows.length).toBeGreaterThan(0);
    expect(around.committed[0]!.counter).toBeNull();
    expect(await around.ingest.adopt({ ...arrival, counterRule: "live" })).toBe(true);
    expect(around.committed).toHaveLength(1);
  });

  it("an integer whose scaler nobody knows sets the push aside, authentic as it is", async () => {
    const around = new Surroundings([encrypted], { meters: [meterOf(encrypted, { meterType: "D1" })] });
    await around.send(encrypted.hex);
    expect(around.verdicts).toEqual(["quarantined"]);
    const { quarantine, rows, counter } = around.committed[0]!;
    expect(quarantine).toMatchObject({ reason: "scaler_unknown" });
    expect(quarantine!.text).toContain("1.0.12.7.0.255");
    expect(rows).toEqual([]);
    expect(counter).not.toBeNull();
  });
});

describe("octets that are no frame", () => {
  it("are counted, and what follows is found", async () => {
    const around = new Surroundings([authenticated]);
    await around.send(`48454c4c4f${authenticated.hex}`);
    expect(around.discarded).toBe(5);
    expect(around.refused).toEqual(["malformed"]);
    expect(around.verdicts).toEqual(["applied"]);
  });

  it("behind a good frame end this connection and no other", async () => {
    const around = new Surroundings([authenticated, encrypted]);
    const good = around.connect("192.0.2.2");
    const bad = around.connect();
    bad.receive(authenticated.hex);
    bad.receive("0002000100400010".repeat(4));
    good.receive(encrypted.hex);
    await around.ingest.drain();
    expect([bad.closed, good.closed]).toEqual([true, false]);
    expect(around.verdicts).toEqual(["applied", "applied"]);
  });
});

it("keeps no view of what was received", async () => {
  const around = new Surroundings([authenticated]);
  const { promise, release } = heldBack();
  around.hold = promise;
  const octets = Buffer.from(authenticated.hex, "hex");
  around.connect().receive(octets);
  await vi.waitFor(() => expect(around.commitsBegun).toBe(1));
  octets.fill(0xee);
  release();
  await around.ingest.drain();
  const { frame, rows } = around.committed[0]!;
  expect((cell(frame, "apdu") as Buffer).toString("hex")).toBe(authenticated.hex.slice(16));
  expect(JSON.stringify(rows)).not.toContain("238,238");
});
