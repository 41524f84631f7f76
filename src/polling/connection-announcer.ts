import { announceDaemon, connectMeters, type DaemonName, dismissDaemon } from "../storage/daemons.ts";
import type { Database } from "../storage/database.ts";

/** Connections that meters have opened, and that end here. */
export interface MeterConnections {
  /** By id of the meter, since when it is connected, in milliseconds since 1970 UTC. */
  connectedMeters(): ReadonlyMap<string, number>;
  /** A name for the connection of a meter, which several may share; null: it has none. */
  connectionOf(meterId: string): string | null;
  /** Calls `listener` when a meter is first heard on a connection. */
  onConnected(listener: (meterId: string) => void): void;
}

export interface AnnouncerOptions {
  readonly database: Database;
  readonly daemon: DaemonName;
  readonly connections: MeterConnections;
  /** Milliseconds since 1970 UTC by the clock that schedules are fired by. */
  readonly now: () => number;
}

/** A connection that stands for so long is told: that of a meter which hangs up after each push never is. */
const STANDING_MS = 300;

/** Says in the database that this daemon lives and which meters' connections it holds, so that polls and commands come here. */
export class ConnectionAnnouncer {
  private readonly with: AnnouncerOptions;
  private fresh = new Set<string>();
  private timer: NodeJS.Timeout | null = null;
  private telling: Promise<void> = Promise.resolve();
  private stopped = false;

  private onTold: () => void = () => undefined;

  constructor(options: AnnouncerOptions) {
    this.with = options;
  }

  /** Tells connections that were opened since the last announcement, and calls `onTold` then: what waited for them may be taken. */
  begin(onTold: () => void): void {
    this.onTold = onTold;
    for (const meterId of this.with.connections.connectedMeters().keys()) this.fresh.add(meterId);
    if (this.fresh.size > 0) this.tellSoon();
    this.with.connections.onConnected((meterId) => {
      this.fresh.add(meterId);
      this.tellSoon();
    });
  }

  /** That it lives, and all its connections. To be called at every tick. @throws StorageError */
  async announce(): Promise<void> {
    const { database, daemon, connections, now } = this.with;
    if (this.stopped) return;
    await announceDaemon(database, daemon, connections.connectedMeters(), now());
  }

  /** What this daemon held is free. @throws StorageError */
  async stop(): Promise<void> {
    this.stopped = true;
    if (this.timer !== null) clearTimeout(this.timer);
    await this.telling;
    await dismissDaemon(this.with.database, this.with.daemon.id);
  }

  private tellSoon(): void {
    if (this.timer !== null || this.stopped) return;
    this.timer = setTimeout(() => {
      this.timer = null;
      const fresh = this.fresh;
      this.fresh = new Set();
      // Where the database is away, the next tick tells all of them.
      this.telling = this.telling.then(() => this.tell(fresh)).catch(() => undefined);
    }, STANDING_MS);
    this.timer.unref();
  }

  private async tell(fresh: ReadonlySet<string>): Promise<void> {
    const { database, daemon, connections, now } = this.with;
    const standing = new Map([...connections.connectedMeters()].filter(([meterId]) => fresh.has(meterId)));
    if (standing.size === 0 || this.stopped) return;
    await connectMeters(database, daemon.id, standing, now());
    this.onTold();
  }
}
