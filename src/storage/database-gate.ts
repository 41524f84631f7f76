import type { Client, Database, Listener } from "./database.ts";
import { StorageError } from "./storage-error.ts";

/**
 * Stands before a database that is not to be asked now: one that was away when the daemon started and whose migrations were not looked at
 * yet, or one that is known to be away. What comes meanwhile fails at once, as `unavailable`, instead of waiting for a connection.
 */
export class DatabaseGate {
  private current = false;
  private away: string | null = null;
  /** Listeners that could not begin. */
  private readonly waiting = new Set<() => Promise<void>>();

  around(database: Database): Database {
    const pass = <R>(work: () => Promise<R>): Promise<R> => {
      return this.isOpen ? work() : Promise.reject(this.unavailable());
    };
    return {
      schema: database.schema,
      pool: database.pool,
      query: (sql, parameters) => pass(() => database.query(sql, parameters)),
      transaction: <R>(work: (client: Client) => Promise<R>) => pass(() => database.transaction(work)),
      withClient: <R>(work: (client: Client) => Promise<R>) => pass(() => database.withClient(work)),
      listen: (channel, onNotify, onGap) =>
        this.current
          ? database.listen(channel, onNotify, onGap)
          : this.listenLater(database, channel, onNotify, onGap),
      close: () => database.close(),
    };
  }

  /** Its structure is current: it may be asked. Resolves when everything that waited to listen does; those are told of a gap. */
  async open(): Promise<void> {
    this.current = true;
    for (const begin of this.waiting) {
      await begin();
      this.waiting.delete(begin);
    }
  }

  /** @param condition null: it is there; else why it isn't */
  set(condition: string | null): void {
    this.away = condition;
  }

  get isOpen(): boolean {
    return this.closed() === null;
  }

  private closed(): string | null {
    return this.away ?? (this.current ? null : "The database is away; its structure was not looked at yet.");
  }

  private unavailable(): StorageError {
    return new StorageError("unavailable", this.closed() ?? "The database has only just come.");
  }

  private async listenLater(
    database: Database,
    ...[channel, onNotify, onGap]: ListenArguments
  ): Promise<Listener> {
    let listener: Listener | null = null;
    const begin = async () => {
      listener = await database.listen(channel, onNotify, onGap);
      onGap();
    };
    this.waiting.add(begin);
    return {
      caughtUp: () => (listener === null ? Promise.reject(this.unavailable()) : listener.caughtUp()),
      close: async () => {
        this.waiting.delete(begin);
        await listener?.close();
      },
    };
  }
}

type ListenArguments = Parameters<Database["listen"]>;
