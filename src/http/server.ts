import { type FastifyInstance, fastify } from "fastify";
import { VERSION } from "../version.ts";
import type { Health } from "./health.ts";
import type { Metrics } from "./metrics.ts";

export interface HttpServer {
  /** The address that it listens on, with the port that it was given. */
  readonly address: string;
  close(): Promise<void>;
}

/** Binds health, metrics and version. Rejects with the system's error where the address can't be bound. */
export async function startHttp(
  listen: { host: string; port: number },
  health: Health,
  metrics: Metrics,
): Promise<HttpServer> {
  const app = routes(health, metrics);
  const address = await app.listen(listen);
  return { address, close: () => app.close() };
}

export function routes(health: Health, metrics: Metrics): FastifyInstance {
  const app = fastify({ logger: false, forceCloseConnections: true, bodyLimit: 65_536 });

  // Alive: this process turns its event loop. Restarting it would mend nothing that is outside it.
  app.get("/livez", () => ({ status: "alive" }));

  app.get("/readyz", (_request, reply) => {
    const report = health.report();
    const takesPushes = report.status === "ready" || report.status === "degraded";
    return reply.code(takesPushes ? 200 : 503).send(report);
  });

  app.get("/healthz", (_request, reply) => {
    const report = health.report();
    return reply.code(report.status === "ready" ? 200 : 503).send({ ...report, version: VERSION });
  });

  app.get("/metrics", async (_request, reply) =>
    reply.type(metrics.registry.contentType).send(await metrics.registry.metrics()),
  );

  app.get("/version", () => ({ name: "dlms-hes", version: VERSION, node: process.version }));
  return app;
}
