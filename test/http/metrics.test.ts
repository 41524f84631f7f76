import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { Health } from "../../src/http/health.ts";
import { Metrics } from "../../src/http/metrics.ts";
import { routes } from "../../src/http/server.ts";
import { REFUSAL_REASONS } from "../../src/refusal.ts";

describe("/metrics", () => {
  it("is what docs/reference/metrics.md says", async () => {
    await expect(await new Metrics().referencePage()).toMatchFileSnapshot("../../docs/reference/metrics.md");
  });

  it("offers exactly the names of the page, and every verdict and reason from the start", async () => {
    const page = readFileSync(new URL("../../docs/reference/metrics.md", import.meta.url), "utf8");
    const listed = [...page.matchAll(/^\| `(\w+)`/gm)].map((match) => match[1]!);
    const app = routes(new Health(), new Metrics());
    const { body, headers } = await app.inject("/metrics");
    await app.close();
    const offered = [...body.matchAll(/^# TYPE (\w+) /gm)].map((match) => match[1]!);
    expect(offered.sort()).toEqual(listed.sort());
    expect(headers["content-type"]).toContain("text/plain");
    for (const reason of REFUSAL_REASONS) expect(body).toContain(`hes_refused_total{reason="${reason}"} 0`);
    expect(body).toContain('hes_pushes_total{verdict="applied"} 0');
    expect(body).toMatch(/^hes_event_loop_lag_seconds \d/m);
  });
});

describe("what the ingest reports", () => {
  it("is counted", async () => {
    const metrics = new Metrics();
    const observer = metrics.observer();
    observer.connectionOpened();
    observer.connectionOpened();
    observer.connectionClosed();
    observer.frameReceived("wrapper");
    observer.pushDone("applied");
    observer.refused("bad_tag");
    observer.discarded(17);
    observer.acknowledged();
    observer.durableSeconds(0.004);
    observer.decodeSeconds(0.00003);
    observer.rowsStored("instant_profile", 3);
    observer.dbWriteSeconds(0.02);
    const text = await metrics.registry.metrics();
    expect(text).toContain("hes_connections_open 1");
    expect(text).toContain('hes_frames_received_total{framing="wrapper"} 1');
    expect(text).toContain('hes_pushes_total{verdict="applied"} 1');
    expect(text).toContain('hes_refused_total{reason="bad_tag"} 1');
    expect(text).toContain("hes_octets_discarded_total 17");
    expect(text).toContain("hes_acks_sent_total 1");
    expect(text).toContain('hes_durable_seconds_bucket{le="0.005"} 1');
    expect(text).toContain('hes_push_decode_seconds_bucket{le="0.000025"} 0');
    expect(text).toContain('hes_rows_stored_total{table="instant_profile"} 3');
    expect(text).toContain("hes_db_write_seconds_sum 0.02");
  });

  it("is counted once, however often the metrics are read", async () => {
    const metrics = new Metrics();
    const observer = metrics.observer();
    observer.pushDone("applied");
    observer.acknowledged();
    await metrics.registry.metrics();
    await metrics.registry.metrics();
    observer.pushDone("applied");
    const text = await metrics.registry.metrics();
    expect(text).toContain('hes_pushes_total{verdict="applied"} 2');
    expect(text).toContain('hes_pushes_total{verdict="duplicate"} 0');
    expect(text).toContain("hes_acks_sent_total 1");
  });
});

describe("health", () => {
  it("is ready only once started, degraded while a part is away, and says so when it stops", async () => {
    const health = new Health();
    const app = routes(health, new Metrics());
    const status = async (path: string) => {
      const { statusCode, body } = await app.inject(path);
      return [statusCode, (JSON.parse(body) as { status: string }).status];
    };
    health.set("database", "ok");
    expect(await status("/readyz")).toEqual([503, "starting"]);
    expect(await status("/livez")).toEqual([200, "alive"]);
    health.started();
    expect(await status("/readyz")).toEqual([200, "ready"]);
    health.set("database", "connection refused");
    expect(await status("/readyz")).toEqual([200, "degraded"]);
    expect(await status("/healthz")).toEqual([503, "degraded"]);
    health.set("database", "ok");
    expect(await status("/healthz")).toEqual([200, "ready"]);
    health.stopping();
    expect(await status("/readyz")).toEqual([503, "stopping"]);
    await app.close();
  });

  it("tells its version", async () => {
    const app = routes(new Health(), new Metrics());
    expect(JSON.parse((await app.inject("/version")).body)).toMatchObject({
      name: "dlms-hes",
      version: "0.1.0",
    });
    await app.close();
  });
});
