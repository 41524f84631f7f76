import { describe, expect, it } from "vitest";
import { Metrics } from "../../src/http/metrics.ts";
import { DEFAULT_LIMITS } from "../../src/limits.ts";
import { REFUSAL_REASONS, type RefusalReason } from "../../src/refusal.ts";
import { heldBack, meterOf, Surroundings, vectorOf } from "./surroundings.ts";

/*
 * Each reason of the closed list that octets from outside can bring about: counted each time, summed up in one security event, told in ten lines of
 * the log at most, and nothing stored or acknowledged. Reasons of associations that the head-end opens: test/system/refused-associations.test.ts.
 */
const TIMES = 25;
const LINES = DEFAULT_LIMITS.logLinesPerMinute;
const PEER = "192.0.2.1";

const encrypted = vectorOf("d1-instant-flat-e-wrapper-int");
const authenticated = vectorOf("d1-instant-flat-ae-wrapper-f32-dev");
const plain = vectorOf("d1-instant-flat-none-wrapper-int");
/* 00010001 0040 00aa · DB · 08 title · length (two octets) · control · counter. */
const CONTROL = 8 + 1 + 9 + 2;

function forged(change: (octets: Buffer) => void): Buffer {
  const octets = Buffer.from(authenticated.hex, "hex");
  change(octets);
  return octets;
}

type Scenario = () => { readonly around: Surroundings; readonly frame: Buffer | string };
const against = (frame: Buffer | string, ...made: ConstructorParameters<typeof Surroundings>) => ({
  around: new Surroundings(...made),
  frame,
});

const SCENARIOS: Record<Exclude<RefusalReason, "association_refused" | "hls_failed">, Scenario> = {
  // A DataNotification that ends within its date and time.
  malformed: () => against(wpdu("0f000000010c07ea"), [plain]),
  limit: () => against(plain.hex, [plain], { limits: { depthMax: 0 } }),
  // A GET.request, which is for meters.
  unsupported: () => against(wpdu("c001c100030100010800ff0200"), [plain]),
  unknown_meter: () => against(plain.hex, [plain], { meters: [] }),
  unknown_system_title: () => against(authenticated.hex, [authenticated], { meters: [] }),
  identity_mismatch: () => {
    const body = { ...meterOf(plain, { systemTitle: null }), meterNumber: authenticated.meter.device_id };
    const meters = [meterOf(authenticated, { meterNumber: "somebody" }), body];
    return against(authenticated.hex, [authenticated, plain], { meters });
  },
  plaintext_refused: () =>
    against(plain.hex, [plain], { meters: [meterOf(plain, { requiredProtection: 0x20 })] }),
  weak_protection: () =>
    against(encrypted.hex, [encrypted], { meters: [meterOf(encrypted, { requiredProtection: 0x30 })] }),
  wrong_suite: () =>
    against(
      forged((octets) => octets.writeUInt8(0x31, CONTROL)),
      [authenticated],
    ),
  bad_tag: () =>
    against(
      forged((octets) => octets.writeUInt8(octets.at(-1)! ^ 1, octets.length - 1)),
      [authenticated],
    ),
  replay: () => {
    const around = new Surroundings([authenticated]);
    around.counter = { high: 0xffff_fff0, digests: [] };
    return { around, frame: authenticated.hex };
  },
  key_missing: () =>
    against(authenticated.hex, [authenticated], { meters: [meterOf(authenticated, { keys: [] })] }),
  rate_limited: () => {
    const around = new Surroundings([plain], { limits: { undurableTotalBytesMax: -1 } });
    return { around, frame: plain.hex };
  },
};

function wpdu(apdu: string): Buffer {
  const header = Buffer.from("0001000100400000", "hex");
  header.writeUInt16BE(apdu.length / 2, 6);
  return Buffer.concat([header, Buffer.from(apdu, "hex")]);
}

describe("what is refused is counted, summed up in one event and told in a few lines", () => {
  it.each(Object.entries(SCENARIOS))("%s", async (reason, scenario) => {
    const { around, frame } = scenario();
    const octets = typeof frame === "string" ? Buffer.from(frame, "hex") : frame;
    for (let i = 0; i < TIMES; i++) {
      // Streams are left in the socket where datagrams are refused for want of room.
      if (reason === "rate_limited") around.ingest.datagram({ octets, remoteAddress: PEER, reply: () => {} });
      else around.connect(PEER).receive(octets);
    }
    await around.ingest.drain();
    expect(around.refused).toEqual(Array(TIMES).fill(reason));
    expect(around.securityEvents).toMatchObject([{ source: PEER, reason, count: TIMES }]);
    expect(around.warnings).toEqual(Array(LINES).fill({ source: PEER, reason }));
    expect(around.committed).toEqual([]);
    expect(around.acknowledged).toBe(0);
  });

  it("every reason is a series of the metric from the start", async () => {
    const text = await new Metrics().registry.metrics();
    for (const reason of REFUSAL_REASONS) expect(text).toContain(`hes_refused_total{reason="${reason}"} 0\n`);
  });

  it("a connection that a listener closed counts as limit", async () => {
    const around = new Surroundings([plain]);
    for (let i = 0; i < 500; i++) around.ingest.refuse(PEER, "limit", "limits.connections_max is reached");
    await around.ingest.drain();
    expect(around.refused).toEqual(Array(500).fill("limit"));
    expect(around.securityEvents).toMatchObject([{ source: PEER, reason: "limit", count: 500 }]);
  });

  it("a datagram that comes while there is room is taken, those behind it are refused", async () => {
    const around = new Surroundings([plain], { limits: { undurableTotalBytesMax: 1 } });
    const { promise, release } = heldBack();
    around.hold = promise;
    const octets = Buffer.from(plain.hex, "hex");
    for (let i = 0; i < 5; i++) around.ingest.datagram({ octets, remoteAddress: PEER, reply: () => {} });
    release();
    await around.ingest.drain();
    expect(around.refused).toEqual(Array(4).fill("rate_limited"));
    expect(around.committed).toHaveLength(1);
  });
});

it("from however many sources it comes: 2,000 are told apart in a minute, the others are one, and have ten lines together", async () => {
  const around = new Surroundings([plain]);
  const sources = 5_000;
  // Written in between, as every second: what was told apart then still counts.
  for (let round = 0; round < 3; round++) {
    for (let i = 0; i < sources; i++) around.ingest.refuse(`2001:db8::${round}:${i}`, "malformed", "noise");
    await around.ingest.settled();
  }
  const { securityEvents, warnings } = around;
  const counts = securityEvents.map(({ count }) => count);
  expect(counts.reduce((sum, count) => sum + count, 0)).toBe(3 * sources);
  expect(new Set(securityEvents.map(({ source }) => source)).size).toBe(2_001);
  expect(securityEvents.filter(({ source }) => source === "many others")).toHaveLength(3);
  expect(warnings).toHaveLength(2_000 + LINES);
  await around.ingest.drain();
});
