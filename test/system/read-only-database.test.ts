import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { loadConfig } from "../../src/config.ts";
import { openDaemonDatabase } from "../../src/daemon-database.ts";
import type { HealthReport } from "../../src/http/health.ts";
import { createLog } from "../../src/log.ts";
import { ConfirmingMeters } from "../faults/confirming-meters.ts";
import { Installation } from "../faults/installation.ts";
import { eventually } from "../support/daemon.ts";

vi.setConfig({ testTimeout: 180_000, hookTimeout: 180_000 });

let installation: Installation;
let ownerUrl: string;
beforeAll(async () => {
  installation = await Installation.make();
  ownerUrl = installation.environment["HES_DATABASE__URL"]!;
});
afterAll(() => installation.remove());

/** From now on sessions only read, as behind an address that has failed over to a standby; those that are open end. */
async function failOver(): Promise<void> {
  const [row] = await installation.query("SELECT current_database() AS name");
  await installation.query(`ALTER DATABASE "${row!["name"]}" SET default_transaction_read_only = on`);
  await installation.query(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'dlms-hes' AND pid <> pg_backend_pid()",
  );
}

/** New sessions write; those that are open go on as they began. */
async function promote(): Promise<void> {
  const [row] = await installation.query("SELECT current_database() AS name");
  await installation.query(
    `SET transaction_read_only TO off; ALTER DATABASE "${row!["name"]}" RESET default_transaction_read_only`,
  );
}

const readiness = async () =>
  (await (await fetch(`${installation.daemon!.http}/readyz`)).json()) as HealthReport;
const becomes = (status: string) =>
  eventually(
    async () => {
      const report = await readiness();
      return report.status === status ? report : null;
    },
    `the daemon is ${status}`,
    20_000,
  );

const fleet = (seed: number) =>
  new ConfirmingMeters({
    ...{ meters: 4, pushesPerMeter: 3, seed, ratePerSecond: null, repeatMs: 5_000 },
    onConfirmed: () => undefined,
  });

async function storedOf(meters: ConfirmingMeters): Promise<unknown> {
  await installation.drained(60_000);
  return installation.query(
    "SELECT verdict, count(*) FROM push_history WHERE encode(digest, 'hex') = ANY($1) GROUP BY 1",
    [[...meters.sent]],
  );
}

it("counts as away: what is acknowledged meanwhile is stored when it can be written", async () => {
  const meters = fleet(3);
  await installation.register(meters);
  await installation.startDaemon();
  await installation.knows(4);
  await failOver();
  await eventually(
    async () => (/only reads/.test((await readiness()).parts["database"]!) ? 1 : null),
    "the daemon knows that it only reads",
    20_000,
  );
  expect((await readiness()).status).toBe("degraded");
  await meters.run(installation.port);
  expect(meters.confirmedCount).toBe(12);
  await promote();
  await becomes("ready");
  expect(await storedOf(meters)).toEqual([{ verdict: "applied", count: 12 }]);
  expect(await installation.daemon!.end("SIGTERM")).toBe(0);
});

it("counts as away where the daemon is started then, too", async () => {
  const meters = fleet(4);
  await installation.register(meters);
  await installation.startDaemon();
  const snapshot = join(installation.folder, "data", "spool", "snapshot", "meters");
  const [last] = await installation.query("SELECT max(id) AS id FROM meter_keys");
  await eventually(
    async () => (readFileSync(snapshot, "utf8").includes(`"id":${last!["id"]},`) ? 1 : null),
    "the new keys are in the snapshot",
  );
  await installation.killDaemon();
  await failOver();
  const { log } = await installation.startDaemon();
  expect(log.filter(({ msg }) => msg?.startsWith("the database is away"))).toMatchObject([
    { text: expect.stringMatching(/only reads/) },
  ]);
  expect(await readiness()).toMatchObject({ status: "degraded" });
  await meters.run(installation.port);
  expect(meters.confirmedCount).toBe(12);
  expect(await readiness()).toMatchObject({ status: "degraded" });
  await promote();
  await becomes("ready");
  expect(await storedOf(meters)).toEqual([{ verdict: "applied", count: 12 }]);
  expect(await installation.daemon!.end("SIGTERM")).toBe(0);
});

it("is nothing that commands take for a fault of theirs", async () => {
  await failOver();
  await expect(installation.register(fleet(5))).rejects.toThrow(/ended with 69: hes: .*only reads/);
  await expect(installation.hes("migrate")).rejects.toThrow(/ended with 69: hes: .*only reads/);
  await promote();
});

/** The database's URL for a login that may do what a daemon does, and owns nothing. */
async function urlOfGuest(): Promise<string> {
  await installation.query("CREATE ROLE guest LOGIN PASSWORD 'only here' IN ROLE hes_ingest, hes_keys");
  const url = new URL(ownerUrl);
  url.username = "guest";
  url.password = "only here";
  return url.toString();
}

it("isn't taken for current, whether the daemon's login would migrate it or only looks at it", async () => {
  const guest = await urlOfGuest();
  await failOver();
  const log = createLog({ level: "info", format: "json" }, { write: () => undefined });
  for (const url of [ownerUrl, guest]) {
    const { config } = loadConfig(undefined, { ...installation.environment, HES_DATABASE__URL: url });
    const base = await openDaemonDatabase(config, log, () => undefined);
    expect(base.away?.message).toMatch(/only reads/);
    await expect(base.bring()).rejects.toMatchObject({ code: "unavailable" });
    expect(base.gate.isOpen).toBe(false);
    await base.close();
  }
  await promote();
});
