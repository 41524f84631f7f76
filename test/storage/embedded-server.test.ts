import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { openDatabase } from "../../src/storage/database.ts";
import { type EmbeddedPostgres, startEmbeddedPostgres } from "../../src/storage/embedded-server.ts";

let dataDir: string;
let server: EmbeddedPostgres;
/** All that run: each would restart what another one stops. */
const servers: EmbeddedPostgres[] = [];
beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), "hes-embedded-"));
  server = await startEmbeddedPostgres({ dataDir, durable: false });
  servers.push(server);
});
afterAll(async () => {
  await Promise.all(servers.map((one) => one.stop()));
  await rm(dataDir, { recursive: true, force: true });
});

/** Until `attempt` no longer throws; the test's own timeout ends it otherwise. */
async function eventually<R>(attempt: () => Promise<R>): Promise<R> {
  for (;;) {
    try {
      return await attempt();
    } catch {
      await delay(10);
    }
  }
}

it("runs an unprivileged PostgreSQL of version 15 or newer, by a socket only, with a password", async () => {
  const database = openDatabase({ url: server.url, schema: "public" });
  const [row] = await database.query(
    "SELECT current_setting('server_version_num')::int AS version, current_setting('listen_addresses') AS tcp",
  );
  expect(row?.["version"]).toBeGreaterThanOrEqual(150_000);
  expect(row?.["tcp"]).toBe("");
  await database.close();
  const status = await readFile(`/proc/${server.pid}/status`, "utf8");
  expect(/^Uid:\s+(\d+)/m.exec(status)?.[1]).not.toBe("0");
  const wrong = openDatabase({ url: server.url.replace(/hes:[^@]+@/, "hes:wrong@"), schema: "public" });
  await expect(wrong.query("SELECT 1")).rejects.toThrow(/password/);
  await wrong.close();
  expect((await stat(join(dataDir, "postgres/password"))).mode & 0o077).toBe(0);
  // mkdtemp made it for its owner alone: others may at most pass through.
  expect((await stat(dataDir)).mode & 0o077 & ~0o001).toBe(0);
});

it("comes back after kill -9 of the postmaster, with what was committed", async () => {
  const database = openDatabase({ url: server.url, schema: "public" });
  await database.query("CREATE TABLE kept AS SELECT 42 AS answer");
  const exits: string[] = [];
  server.onExit((reason) => exits.push(reason));
  const first = server.pid;
  process.kill(first, "SIGKILL");
  const [row] = await eventually(async () => {
    if (server.pid === first) throw new Error("the first one still");
    return database.query("SELECT answer FROM kept");
  });
  expect(row?.["answer"]).toBe(42);
  expect(exits).toHaveLength(1);
  await database.close();
});

it("survives kill -9 of a backend: the pool gets new connections", async () => {
  const database = openDatabase({ url: server.url, schema: "public", poolMax: 2 });
  const [row] = await database.query("SELECT pg_backend_pid() AS pid");
  process.kill(row?.["pid"], "SIGKILL");
  const [again] = await eventually(() => database.query("SELECT pg_backend_pid() AS pid"));
  expect(again?.["pid"]).not.toBe(row?.["pid"]);
  await database.close();
});

it("adopts a server that runs already instead of starting a second one", async () => {
  const second = await startEmbeddedPostgres({ dataDir, durable: false });
  servers.push(second);
  expect(second.pid).toBe(server.pid);
  expect(second.url).toBe(server.url);
});
