import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { ConfirmingMeters } from "../faults/confirming-meters.ts";
import { Installation } from "../faults/installation.ts";
import { tally } from "../faults/tally.ts";
import { eventually } from "../support/daemon.ts";

vi.setConfig({ testTimeout: 180_000, hookTimeout: 180_000 });

let installation: Installation;
beforeAll(async () => {
  installation = await Installation.make();
});
afterAll(() => installation.remove());

const text = async (path: string) => (await fetch(`${installation.daemon!.http}${path}`)).text();

/** What comes back first when octets are sent again. */
async function answer(octets: Buffer): Promise<string> {
  const socket = connect({ port: installation.port, host: "127.0.0.1" });
  socket.write(octets);
  const [received] = (await once(socket, "data")) as [Buffer];
  socket.destroy();
  return received.toString("hex");
}

it("ends with exit code 69 where the database is away and there is no snapshot yet", async () => {
  await installation.stopDatabase();
  await expect(installation.startDaemon()).rejects.toThrow(/can't be used/);
  await installation.startDatabase();
});

it("serves known meters while the database is away: confirms, remembers counters, and stores when it is back", async () => {
  const frames: Buffer[] = [];
  const meters = new ConfirmingMeters({
    ...{ meters: 4, pushesPerMeter: 3, seed: 3, ratePerSecond: null, repeatMs: 5_000 },
    onConfirmed: () => undefined,
    onSent: (frame) => frames.push(frame),
  });
  await installation.register(meters);
  await installation.startDaemon();
  await eventually(
    async () => (/^hes_snapshot_meters 4$/m.test(await text("/metrics")) ? 1 : null),
    "a snapshot",
  );
  await installation.killDaemon();
  await installation.stopDatabase();

  await installation.startDaemon();
  expect(JSON.parse(await text("/readyz"))).toMatchObject({ status: "degraded" });
  expect((await fetch(`${installation.daemon!.http}/readyz`)).status).toBe(200);
  // Of none of them was anything heard before.
  await meters.run(installation.port);
  expect(meters.confirmedCount).toBe(12);

  await installation.killDaemon();
  await installation.startDaemon();
  // Octet for octet what was accepted before the restart: confirmed again. The same counters on other octets: refused.
  expect(await answer(frames.at(-1)!)).toMatch(/^0001[0-9a-f]{8}000610/);
  const replayed = new ConfirmingMeters({
    ...{ meters: 4, pushesPerMeter: 1, seed: 3, ratePerSecond: null, repeatMs: 60_000 },
    onConfirmed: () => undefined,
  });
  const running = replayed.run(installation.port);
  const refused = () =>
    text("/metrics").then((all) => (/hes_refused_total\{reason="replay"\} 4/.test(all) ? 1 : null));
  await eventually(refused, "the replays are refused");
  replayed.stop();
  await running;
  expect(replayed.confirmedCount).toBe(0);

  await installation.startDatabase();
  await eventually(
    async () => ((await text("/metrics")).includes("hes_spool_records 0\n") ? 1 : null),
    "it drains",
  );
  await eventually(
    async () => (JSON.parse(await text("/readyz")).status === "ready" ? 1 : null),
    "it is ready",
  );
  expect(await tally(installation, meters)).toMatchObject({ confirmed: 12, lost: 0, duplicated: 0 });
  expect(await installation.daemon!.end("SIGTERM")).toBe(0);

  const directory = join(installation.folder, "data", "spool", "snapshot");
  const written = readdirSync(directory)
    .map((name) => readFileSync(join(directory, name), "latin1"))
    .join("\n");
  expect(written).toContain(meters.importCsv.split("\n")[1]!.split(",")[0]);
  const keys = `${meters.importCsv}${meters.keysCsv}`.match(/\b[0-9a-f]{32}\b/gi) ?? [];
  expect(keys.length).toBeGreaterThanOrEqual(8);
  for (const key of keys) {
    const octets = Buffer.from(key, "hex");
    for (const form of [
      key.toLowerCase(),
      octets.toString("base64").slice(0, 21),
      octets.toString("latin1"),
    ]) {
      expect(written.includes(form)).toBe(false);
    }
  }
});

it("stores what it acknowledged under keys that were changed, and changed again, before the database had it", async () => {
  const fleet = (seed: number) =>
    new ConfirmingMeters({
      ...{ meters: 4, pushesPerMeter: 3, seed, ratePerSecond: null, repeatMs: 5_000 },
      onConfirmed: () => undefined,
    });
  // The same meters, and by the seed other keys.
  const meters = fleet(11);
  await installation.startDaemon();
  await installation.register(meters);
  const snapshot = join(installation.folder, "data", "spool", "snapshot", "meters");
  await eventually(async () => {
    const lines = readFileSync(snapshot, "utf8").trim().split("\n").slice(-4);
    const [last] = await installation.query("SELECT max(id) AS id FROM meter_keys");
    return lines.some((line) => line.includes(`"id":${last!["id"]},`)) ? 1 : null;
  }, "the new keys are in the snapshot");
  await installation.stopDatabase();
  await meters.run(installation.port);
  expect(meters.confirmedCount).toBe(12);
  await installation.killDaemon();
  await installation.startDatabase();
  await installation.register(fleet(12));
  await installation.register(fleet(13));
  await installation.startDaemon();
  await installation.drained(60_000);
  const rows = await installation.query(
    `SELECT h.verdict, k.state, count(*) FROM push_history h JOIN meter_keys k ON k.id = h.key_id
      WHERE encode(h.digest, 'hex') = ANY($1) GROUP BY 1, 2`,
    [[...meters.sent]],
  );
  expect(rows).toEqual([{ verdict: "applied", state: "EXPIRED", count: 12 }]);
  expect(await installation.daemon!.end("SIGTERM")).toBe(0);

  // And what it gave can be decoded again.
  const { frames, left } = JSON.parse(await installation.hes("replay", "--json"));
  expect(left).toEqual([]);
  expect(frames).toBeGreaterThanOrEqual(12);
});
