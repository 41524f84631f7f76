import { type ChildProcess, spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { closeSync, existsSync, openSync } from "node:fs";
import { chown, mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir, totalmem } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { processEnvironment } from "../config.ts";
import { isAlive } from "../process-identity.ts";
import { usableBinaries } from "./embedded-binaries.ts";
import { ownedByAnother, takeOwnership } from "./embedded-owner.ts";
import { databaseHome, type SystemUser, systemUser } from "./embedded-user.ts";
import { StorageError } from "./storage-error.ts";

/** What the server says about itself; pino's logger fits. */
export interface EmbeddedLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

export interface EmbeddedOptions {
  /** The daemon's data directory; the database lies below it, or where root's own home forbids that, see databaseHome. */
  readonly dataDir: string;
  readonly log?: EmbeddedLog;
  /** False only for tests: a crash of the machine may then lose what was committed. */
  readonly durable?: boolean;
}

export interface EmbeddedPostgres {
  /** With the generated password, over a Unix socket. */
  readonly url: string;
  /** Of the postmaster; changes when it was restarted. */
  readonly pid: number;
  /** Shuts it down (fast mode) unless another daemon owns it; idempotent. */
  stop(): Promise<void>;
  /** Called each time the server went away unasked; it is being restarted then. */
  onExit(listener: (reason: string) => void): void;
}

const USER = "hes";
/** Linux allows 107 octets in a socket's path; PostgreSQL appends `/.s.PGSQL.5432`. */
const SOCKET_DIR_MAX = 90;
const SHARED_BUFFERS_MIN_MIB = 128;
const SHARED_BUFFERS_MAX_MIB = 1_024;
/**
 * Locks of PostgreSQL's for each connection that may be open. There is one for each partition and index that a transaction looks at, in a table that all
 * share: this makes room for ten years of partitions of a day. A lock takes some 300 octets of shared memory once it is used.
 */
const LOCKS_PER_TRANSACTION = 1_024;
const START_TIMEOUT_MS = 60_000;
/**
 * For glibc's malloc (mallopt(3)), octets: a backend keeps what it was given, up to this. By itself it gives the heap back to the system after each
 * statement and takes it again for the next, page by page: a COPY of a few hundred rows spends a tenth of its time on that.
 */
const KEPT_OCTETS = String(64 << 20);
const KEPT_HEAP = {
  MALLOC_TOP_PAD_: String(1 << 20),
  MALLOC_TRIM_THRESHOLD_: KEPT_OCTETS,
  MALLOC_MMAP_THRESHOLD_: KEPT_OCTETS,
};
const RESTART_PAUSES_MS = [0, 250, 500, 1_000, 2_000, 5_000];

interface Place {
  readonly home: string;
  readonly cluster: string;
  readonly socketDir: string;
  readonly binaries: string;
  readonly user: SystemUser | null;
}

/** Starts the embedded PostgreSQL, or adopts the one that a killed daemon left running. */
export async function startEmbeddedPostgres(options: EmbeddedOptions): Promise<EmbeddedPostgres> {
  if (process.platform === "win32") {
    throw new StorageError(
      "unavailable",
      "The embedded PostgreSQL doesn't run on Windows: set database.url.",
    );
  }
  const user = systemUser();
  const home = await databaseHome(options.dataDir, user);
  const binaries = await usableBinaries(user, home);
  const place: Place = {
    home,
    cluster: join(home, "cluster"),
    socketDir: await socketDirectory(home, user),
    binaries,
    user,
  };
  const password = await initialise(place);
  const server = new Server(place, options);
  await server.start();
  const url = `postgres://${USER}:${password}@${encodeURIComponent(place.socketDir)}/postgres`;
  return {
    url,
    get pid() {
      return server.pid;
    },
    stop: () => server.stop(),
    onExit: (listener) => {
      server.exitListeners.push(listener);
    },
  };
}

async function socketDirectory(home: string, user: SystemUser | null): Promise<string> {
  const beside = join(home, "socket");
  // A long path gets a short one of its own under the temporary directory, named by the home so that both ends find it.
  const short = join(tmpdir(), `hes-${createHash("sha256").update(home).digest("hex").slice(0, 16)}`);
  const dir = beside.length <= SOCKET_DIR_MAX ? beside : short;
  await mkdir(dir, { recursive: true, mode: 0o700 });
  if (user) await chown(dir, user.uid, user.gid);
  return dir;
}

const credentials = (user: SystemUser | null) => (user ? { uid: user.uid, gid: user.gid } : {});

/** initdb where there is no cluster yet. Answers the password of the database's owner. */
async function initialise({ home, cluster, binaries, user }: Place): Promise<string> {
  const passwordFile = join(home, "password");
  if (existsSync(join(cluster, "PG_VERSION"))) return (await readFile(passwordFile, "utf8")).trim();
  const password = randomBytes(24).toString("base64url");
  await writeFile(passwordFile, `${password}\n`, { mode: 0o600 });
  if (user) await chown(passwordFile, user.uid, user.gid);
  const draft = `${cluster}.new`;
  await rm(draft, { recursive: true, force: true });
  const initdb = spawn(
    join(binaries, "initdb"),
    [
      `--pgdata=${draft}`,
      `--username=${USER}`,
      `--pwfile=${passwordFile}`,
      "--auth=scram-sha-256",
      "--encoding=UTF8",
      "--no-locale",
      "--data-checksums",
      "--no-instructions",
    ],
    { cwd: home, stdio: ["ignore", "pipe", "pipe"], ...credentials(user) },
  );
  let output = "";
  initdb.stdout.on("data", (chunk: Buffer) => {
    output += chunk;
  });
  initdb.stderr.on("data", (chunk: Buffer) => {
    output += chunk;
  });
  const [code] = (await once(initdb, "close")) as [number | null];
  if (code !== 0) {
    throw new StorageError("internal", `initdb of the embedded PostgreSQL failed:\n${output.trim()}`);
  }
  // Only a complete cluster gets the name: an interrupted initdb is begun anew.
  await rename(draft, cluster);
  return password;
}

class Server {
  readonly place: Place;
  readonly options: EmbeddedOptions;
  readonly exitListeners: ((reason: string) => void)[] = [];
  pid = 0;
  private child: ChildProcess | null = null;
  private watch: NodeJS.Timeout | null = null;
  private stopping = false;
  private stopped: Promise<void> | null = null;

  constructor(place: Place, options: EmbeddedOptions) {
    this.place = place;
    this.options = options;
  }

  async start(): Promise<void> {
    const { home } = this.place;
    const running = await this.postmaster();
    if (running !== null) {
      this.pid = running;
      const another = await ownedByAnother(home);
      this.options.log?.info(
        { pid: running },
        another ? "sharing the embedded PostgreSQL" : "adopted the embedded PostgreSQL",
      );
      if (!another) await takeOwnership(home);
      this.watchForeign();
      return;
    }
    await takeOwnership(home);
    await this.launch();
  }

  /** Pid of a living postmaster on this cluster, when it accepts connections. */
  private async postmaster(): Promise<number | null> {
    const deadline = performance.now() + START_TIMEOUT_MS;
    for (;;) {
      const lines = await readFile(join(this.place.cluster, "postmaster.pid"), "utf8").catch(() => "");
      const [pid, , , , , , , status = ""] = lines.split("\n");
      if (!pid || !isAlive(Number(pid))) return null;
      if (status.trim() === "ready") return Number(pid);
      if (performance.now() > deadline) return null;
      await delay(20);
    }
  }

  private async launch(): Promise<void> {
    const { home, cluster, socketDir, binaries, user } = this.place;
    const logFile = join(home, "server.log");
    // Its own file and session: Ctrl-C in the terminal, or our death, must not reach PostgreSQL before we have drained.
    const output = openSync(logFile, "a", 0o600);
    const child = spawn(join(binaries, "postgres"), ["-D", cluster, ...settings(socketDir, this.options)], {
      cwd: home,
      detached: true,
      stdio: ["ignore", output, output],
      env: { ...processEnvironment(), ...KEPT_HEAP },
      ...credentials(user),
    });
    closeSync(output);
    child.unref();
    let exited = false;
    child.once("error", () => {
      exited = true;
    });
    child.once("exit", () => {
      exited = true;
      if (this.child === child) void this.died(`postmaster ${child.pid} ended`);
    });
    const deadline = performance.now() + START_TIMEOUT_MS;
    while (!exited && performance.now() < deadline) {
      if ((await this.postmaster()) === child.pid && child.pid !== undefined) {
        this.child = child;
        this.pid = child.pid;
        this.options.log?.info({ pid: child.pid, home }, "embedded PostgreSQL is running");
        if (exited) void this.died(`postmaster ${child.pid} ended`);
        return;
      }
      await delay(20);
    }
    throw new StorageError("unavailable", `The embedded PostgreSQL didn't start; ${logFile} says why.`);
  }

  /** A postmaster that isn't our child: its end can only be seen by looking. */
  private watchForeign(): void {
    this.watch = setInterval(() => {
      if (isAlive(this.pid)) return;
      if (this.watch) clearInterval(this.watch);
      void this.died(`postmaster ${this.pid} is gone`);
    }, 500).unref();
  }

  private async died(reason: string): Promise<void> {
    if (this.stopping) return;
    this.child = null;
    this.options.log?.warn({ reason }, "embedded PostgreSQL went away; restarting it");
    for (const listener of this.exitListeners) listener(reason);
    for (let attempt = 0; !this.stopping; attempt += 1) {
      await delay(RESTART_PAUSES_MS[Math.min(attempt, RESTART_PAUSES_MS.length - 1)]);
      if (this.stopping) return;
      try {
        await this.start();
        return;
      } catch (error) {
        // Backends of a killed postmaster take a moment to notice and to let go of the shared memory.
        this.options.log?.warn(
          { attempt, error: (error as Error).message },
          "embedded PostgreSQL not back yet",
        );
      }
    }
  }

  stop(): Promise<void> {
    this.stopped ??= this.shutDown();
    return this.stopped;
  }

  private async shutDown(): Promise<void> {
    this.stopping = true;
    if (this.watch) clearInterval(this.watch);
    if (await ownedByAnother(this.place.home)) return;
    const { pid } = this;
    if (pid !== 0 && isAlive(pid)) process.kill(pid, "SIGINT");
    while (pid !== 0 && isAlive(pid)) await delay(20);
    this.options.log?.info({ pid }, "embedded PostgreSQL stopped");
  }
}

/**
 * The leaves of the indexes into which a fleet's next rows go have to lie in it: some twenty pages a meter. An eighth of the memory, because the
 * daemon and whatever else the machine is for want theirs; it is taken as it is used.
 */
function sharedBuffersMiB(durable: boolean): number {
  // Tests run many servers at once.
  if (!durable) return SHARED_BUFFERS_MIN_MIB;
  const memoryOctets = Math.min(totalmem(), process.constrainedMemory() || Number.POSITIVE_INFINITY);
  return Math.min(
    SHARED_BUFFERS_MAX_MIB,
    Math.max(SHARED_BUFFERS_MIN_MIB, Math.floor(memoryOctets / 8 / 2 ** 20)),
  );
}

function settings(socketDir: string, { durable = true }: EmbeddedOptions): string[] {
  const values: Record<string, string | number> = {
    listen_addresses: "",
    unix_socket_directories: socketDir,
    unix_socket_permissions: "0700",
    max_connections: 60,
    max_locks_per_transaction: LOCKS_PER_TRANSACTION,
    shared_buffers: `${sharedBuffersMiB(durable)}MB`,
    max_wal_size: "2GB",
    checkpoint_timeout: "15min",
    wal_compression: "on",
    log_timezone: "UTC",
    timezone: "UTC",
    ...(durable ? {} : { fsync: "off", full_page_writes: "off" }),
  };
  return Object.entries(values).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
}
