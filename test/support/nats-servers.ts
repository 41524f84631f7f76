import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Whether `nats-server` is there to be run; said aloud where it isn't. */
export function hasNatsServer(): boolean {
  const found = spawnSync("nats-server", ["--version"], { encoding: "utf8" });
  if (found.status === 0) return true;
  console.warn("SKIPPED: no nats-server on the PATH (Debian: apt-get install nats-server)");
  return false;
}

async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, "close");
  return port;
}

interface Node {
  readonly name: string;
  readonly client: number;
  readonly route: number;
  readonly monitor: number;
  readonly store: string;
  process: ChildProcess | null;
}

interface StreamDetail {
  readonly name: string;
  readonly cluster: {
    readonly leader?: string;
    readonly replicas?: readonly { readonly current: boolean; readonly offline?: boolean }[];
  };
}

async function streamsOf(monitor: number): Promise<readonly StreamDetail[]> {
  const answer = await fetch(`http://127.0.0.1:${monitor}/jsz?streams=true&accounts=true`)
    .then(
      (response) => response.json() as Promise<{ account_details?: { stream_detail?: StreamDetail[] }[] }>,
    )
    .catch(() => null);
  return answer?.account_details?.flatMap(({ stream_detail }) => stream_detail ?? []) ?? [];
}

const followersOf = ({ cluster }: StreamDetail) =>
  (cluster.replicas ?? []).filter(({ current, offline }) => current && offline !== true).length;

/** NATS servers on loopback with JetStream, as processes of this test. */
export class NatsServers {
  private readonly folder: string;
  private readonly nodes: Node[];

  private constructor(folder: string, nodes: Node[]) {
    this.folder = folder;
    this.nodes = nodes;
  }

  /** One, or a cluster of as many; resolves when JetStream is there. */
  static async start(count: number): Promise<NatsServers> {
    const folder = mkdtempSync(join(tmpdir(), "hes-nats-"));
    const nodes: Node[] = [];
    for (let i = 1; i <= count; i++) {
      const [client, route, monitor] = [await freePort(), await freePort(), await freePort()];
      nodes.push({ name: `n${i}`, client, route, monitor, store: join(folder, `n${i}`), process: null });
    }
    const servers = new NatsServers(folder, nodes);
    for (let i = 0; i < count; i++) servers.begin(i);
    for (let i = 0; i < count; i++) await servers.healthy(i);
    return servers;
  }

  get urls(): string[] {
    return this.nodes.map(({ client }) => `nats://127.0.0.1:${client}`);
  }

  begin(index: number): void {
    const node = this.nodes[index]!;
    const file = join(this.folder, `${node.name}.conf`);
    writeFileSync(file, this.configuration(node));
    node.process = spawn("nats-server", ["-c", file, "-l", join(this.folder, `${node.name}.log`)], {
      stdio: "ignore",
    });
  }

  /** Resolves when the node says that it is, its part of JetStream with it. */
  async healthy(index: number): Promise<void> {
    const deadline = performance.now() + 60_000;
    const url = `http://127.0.0.1:${this.nodes[index]!.monitor}/healthz`;
    for (;;) {
      const answer = await fetch(url).catch(() => null);
      if (answer?.ok) return;
      if (performance.now() > deadline) throw new Error(`${url} isn't healthy after a minute`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  /** Resolves when every stream has a leader, and its followers are current; `without`: a node that is not there. */
  async settled(without: number | null): Promise<void> {
    const living = this.nodes.filter((_, index) => index !== without);
    const deadline = performance.now() + 60_000;
    for (;;) {
      const led = new Set<string>();
      const all = new Set<string>();
      for (const { name, monitor } of living) {
        for (const stream of await streamsOf(monitor)) {
          all.add(stream.name);
          // Only the leader knows of its followers.
          if (stream.cluster.leader === name && followersOf(stream) >= living.length - 1)
            led.add(stream.name);
        }
      }
      if (all.size > 0 && all.size === led.size) return;
      if (performance.now() > deadline)
        throw new Error(`without a leader: ${[...all].filter((one) => !led.has(one))}`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  /** As when its machine loses power; what the kernel had of its files stays. */
  async kill(index: number): Promise<void> {
    const { process } = this.nodes[index]!;
    if (process === null || process.exitCode !== null || process.signalCode !== null) return;
    const ended = once(process, "exit");
    process.kill("SIGKILL");
    await ended;
  }

  /** As when its disk is gone. */
  async destroy(index: number): Promise<void> {
    await this.kill(index);
    rmSync(this.nodes[index]!.store, { recursive: true, force: true });
  }

  async stop(): Promise<void> {
    for (let i = 0; i < this.nodes.length; i++) await this.kill(i);
    rmSync(this.folder, { recursive: true, force: true });
  }

  private configuration({ name, client, route, monitor, store }: Node): string {
    const base = `server_name: ${name}
listen: "127.0.0.1:${client}"
http: "127.0.0.1:${monitor}"
jetstream { store_dir: "${store}", max_memory_store: 64MB, max_file_store: 1GB }
`;
    if (this.nodes.length === 1) return base;
    const routes = this.nodes.map((node) => `"nats://127.0.0.1:${node.route}"`).join(", ");
    return `${base}cluster { name: hes, listen: "127.0.0.1:${route}", routes: [${routes}] }\n`;
  }
}
