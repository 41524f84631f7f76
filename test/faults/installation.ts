import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "../../src/cli/run.ts";
import { isAlive } from "../../src/process-identity.ts";
import { type Database, openDatabase, type QueryRow } from "../../src/storage/database.ts";
import { type EmbeddedPostgres, startEmbeddedPostgres } from "../../src/storage/embedded-server.ts";
import { packageDirectory } from "../../src/storage/migrate.ts";
import { type DaemonProcess, eventually, startDaemonProcess } from "../support/daemon.ts";
import type { ConfirmingMeters } from "./confirming-meters.ts";

/** A database server and a daemon, both of which can be killed and started again at the same address. */
export class Installation {
  readonly folder: string;
  readonly environment: Record<string, string>;
  port: number;
  daemon: DaemonProcess | null = null;
  private server: EmbeddedPostgres;
  private readonly url: string;

  private constructor(
    folder: string,
    server: EmbeddedPostgres,
    port: number,
    environment: Record<string, string>,
  ) {
    this.folder = folder;
    this.server = server;
    this.url = server.url;
    this.port = port;
    this.environment = {
      HES_DATABASE__URL: server.url,
      HES_DATA_DIR: join(folder, "data"),
      HES_LISTEN__TCP: `127.0.0.1:${port}`,
      ...environment,
    };
  }

  static async make(environment: Record<string, string> = {}): Promise<Installation> {
    const folder = mkdtempSync(join(tmpdir(), "hes-faults-"));
    // As root PostgreSQL runs as another user, who must get in.
    chmodSync(folder, 0o711);
    const server = await startEmbeddedPostgres({ dataDir: join(folder, "server") });
    return new Installation(folder, server, await freePort(), environment);
  }

  async hes(...argv: string[]): Promise<string> {
    const file = join(this.folder, "hes.toml");
    const { HES_DATA_DIR: dataDir, HES_DATABASE__URL: url } = this.environment;
    writeFileSync(file, `data_dir = ${JSON.stringify(dataDir)}\n[database]\nurl = ${JSON.stringify(url)}\n`);
    let output = "";
    const write = (text: string) => {
      output += text;
    };
    const code = await run(["--config", file, ...argv], { write, error: write });
    if (code !== 0) throw new Error(`hes ${argv.join(" ")} ended with ${code}: ${output}`);
    return output;
  }

  /** Imports the meters, their keys and scalers, as an operator does. */
  async register(meters: Pick<ConfirmingMeters, "importCsv" | "keysCsv">): Promise<void> {
    const imports = [
      ["meters", meters.importCsv],
      ["keys", meters.keysCsv],
      [
        "meter-types",
        readFileSync(join(packageDirectory("obis"), "example-scalers", "simulated.csv"), "utf8"),
      ],
    ] as const;
    for (const [name, text] of imports) {
      const file = join(this.folder, `${name}.csv`);
      writeFileSync(file, text);
      await this.hes(name, "import", file);
    }
  }

  /** @param under what runs it, a tracer for instance */
  async startDaemon(under: readonly string[] = []): Promise<DaemonProcess> {
    this.daemon = await startDaemonProcess(this.environment, under);
    return this.daemon;
  }

  async killDaemon(): Promise<void> {
    await this.daemon?.end("SIGKILL");
    this.daemon = null;
  }

  /** The postmaster; it is started again at once, as a supervisor does. */
  async killDatabase(): Promise<void> {
    await this.query("SELECT 1");
    process.kill(this.server.pid, "SIGKILL");
  }

  async killBackend(): Promise<void> {
    await this.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'dlms-hes' AND pid <> pg_backend_pid()
        ORDER BY random() LIMIT 1`,
    );
  }

  /** kill -9 of one backend, after which PostgreSQL itself drops all others and recovers. */
  async crashBackend(): Promise<void> {
    const [row] = await this.query(
      "SELECT pid FROM pg_stat_activity WHERE application_name = 'dlms-hes' AND pid <> pg_backend_pid() ORDER BY random() LIMIT 1",
    );
    if (row !== undefined && isAlive(row["pid"])) process.kill(row["pid"], "SIGKILL");
  }

  async stopDatabase(): Promise<void> {
    await this.server.stop();
  }

  async startDatabase(): Promise<void> {
    this.server = await startEmbeddedPostgres({ dataDir: join(this.folder, "server") });
  }

  /** On a connection of its own, tried again while the database is away. */
  async query(sql: string, parameters: readonly unknown[] = []): Promise<QueryRow[]> {
    for (let attempt = 0; ; attempt++) {
      const database: Database = openDatabase({ url: this.url, schema: "hes", poolMax: 1 });
      try {
        return await database.query(sql, parameters);
      } catch (error) {
        if (attempt > 300) throw error;
        await new Promise((resolve) => setTimeout(resolve, 100));
      } finally {
        await database.close().catch(() => undefined);
      }
    }
  }

  async metrics(): Promise<string> {
    return (await fetch(`${this.daemon!.http}/metrics`)).text();
  }

  /** Waits until the snapshot knows all meters, so that a daemon can serve them without the database. */
  async knows(meters: number): Promise<void> {
    await eventually(
      async () => {
        const found = /^hes_snapshot_meters (\d+)$/m.exec(await this.metrics());
        return found !== null && Number(found[1]) >= meters ? true : null;
      },
      "the snapshot knows all meters",
      120_000,
    );
  }

  /** Waits until everything that was accepted is in the database. */
  async drained(limitMs: number): Promise<void> {
    const deadline = performance.now() + limitMs;
    for (;;) {
      if (/^hes_spool_records 0$/m.test(await this.metrics())) return;
      if (performance.now() > deadline) throw new Error("the spool was not drained in time");
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  async remove(): Promise<void> {
    await this.killDaemon();
    await this.query("SELECT 1").catch(() => undefined);
    await this.server.stop();
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
  }
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}
