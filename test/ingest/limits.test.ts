import { once } from "node:events";
import { connect } from "node:net";
import { expect, it, vi } from "vitest";
import { loadConfig } from "../../src/config.ts";
import { Metrics } from "../../src/http/metrics.ts";
import { DEFAULT_LIMITS, type Limits } from "../../src/limits.ts";
import { openListeners } from "../../src/listeners.ts";
import { pushVectors, Surroundings, vectorOf } from "./surroundings.ts";

/*
 * Limits that the ingest and the listeners are given by the configuration: that each of them holds. Where its arithmetic is tested: deframer, blocks,
 * segments, silence, pacing, outage and durable log here; data in test/dlms/data.test.ts; the ring of
 * unknown frames in test/storage/operational.test.ts.
 */
const wrapper = vectorOf("d1-instant-flat-none-wrapper-int");
const hdlc = pushVectors.find(({ framing, hex }) => framing === "hdlc" && hex.length > 200)!;

it.each<[keyof Limits, number, typeof wrapper]>([
  ["wrapperPayloadBytesMax", 50, wrapper],
  ["hdlcFrameBytesMax", 50, hdlc],
  ["depthMax", 0, wrapper],
  ["pushElementsMax", 3, wrapper],
])("%s: over %i it is refused, and nothing of it is stored", async (limit, value, vector) => {
  const limited = new Surroundings([vector], { limits: { [limit]: value } });
  await limited.send(vector.hex);
  expect(new Set(limited.refused)).toContain("limit");
  expect(limited.committed).toEqual([]);
  const usual = new Surroundings([vector]);
  await usual.send(vector.hex);
  expect(usual.committed).toHaveLength(1);
});

it("firstFrameMs: who sends no frame is hung up on, which counts as limit", async () => {
  const around = new Surroundings([wrapper], { limits: { firstFrameMs: -1 } });
  const silent = around.connect();
  const heard = around.connect("192.0.2.2");
  heard.receive(wrapper.hex);
  await vi.waitFor(() => expect(silent.closed).toBe(true), 10_000);
  expect(heard.closed).toBe(false);
  await around.ingest.drain();
  expect(around.refused).toEqual(["limit"]);
  expect(around.securityEvents).toMatchObject([{ source: "192.0.2.1", reason: "limit", count: 1 }]);
});

it("connectionsMax: one more is closed at once, and counts as limit", async () => {
  const { config } = loadConfig(undefined, {
    HES_LISTEN__TCP: "127.0.0.1:0",
    HES_LIMITS__CONNECTIONS_MAX: "2",
  });
  const refused: string[] = [];
  let attached = 0;
  const receiver = {
    attach: () => void attached++,
    datagram: () => {},
    refuse: (...all: string[]) => void refused.push(all.join(" ")),
  };
  const log = { error: (...all: unknown[]) => expect(all).toEqual([]) };
  const listeners = await openListeners(config, receiver, log as never);
  const port = listeners.tcp[0]!.port;
  const sockets = [1, 2].map(() => connect(port, "127.0.0.1"));
  await vi.waitFor(() => expect(attached).toBe(2));
  const third = connect(port, "127.0.0.1").on("error", () => {});
  await once(third, "close");
  expect([attached, refused]).toEqual([2, ["127.0.0.1 limit limits.connections_max is reached"]]);
  for (const socket of sockets) socket.destroy();
  await listeners.close();
});

it("each limit is a setting, and a metric of the name that the setting has", async () => {
  const { config } = loadConfig(undefined, { HES_LIMITS__APDU_BYTES_MAX: "4711" });
  expect(config.limits).toEqual({ ...DEFAULT_LIMITS, apduBytesMax: 4711 });
  const metrics = new Metrics();
  metrics.limitsAre(config.limits);
  const text = await metrics.registry.metrics();
  expect(text).toContain('hes_limit{name="apdu_bytes_max"} 4711\n');
  expect(text.match(/^hes_limit\{/gm)).toHaveLength(Object.keys(DEFAULT_LIMITS).length);
});
