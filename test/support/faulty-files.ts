import type { SpoolFile, SpoolFiles } from "../../src/durable-log/spool/files.ts";

/** A disk in memory that does what disks do: forget what was not synced, fail, fill up, be slow. */
export class FaultyDisk {
  private readonly files = new Map<string, { room: Buffer; written: Buffer; synced: Buffer }>();
  /** Awaited by every fdatasync. */
  beforeSync: () => Promise<void> = async () => undefined;
  /** Thrown by the next fdatasync. */
  failSync: Error | null = null;
  /** Thrown by the next read. */
  failRead: Error | null = null;
  /** Octets that fit on the disk. */
  capacity = Number.POSITIVE_INFINITY;
  syncs = 0;
  reads = 0;
  /** Files that nobody closed. */
  open = 0;

  readonly access: SpoolFiles = {
    list: async () => [...this.files.keys()],
    create: async (name) => {
      if (this.files.has(name)) throw new Error(`EEXIST: ${name}`);
      this.files.set(name, { room: Buffer.alloc(0), written: Buffer.alloc(0), synced: Buffer.alloc(0) });
      return this.file(name);
    },
    open: async (name) => this.file(name),
    remove: async (name) => void this.files.delete(name),
    setAside: async (name) => {
      this.files.set(`${name}.damaged`, this.files.get(name)!);
      this.files.delete(name);
    },
    replace: async (name, content) => {
      this.overwrite(name, Buffer.from(content));
    },
  };

  names(): string[] {
    return [...this.files.keys()].sort();
  }

  contents(name: string): Buffer {
    return this.files.get(name)!.written;
  }

  overwrite(name: string, contents: Buffer): void {
    this.files.set(name, { room: contents, written: contents, synced: contents });
  }

  /** Whether these octets are on the disk for good, in any file. */
  holdsSynced(octets: Buffer): boolean {
    return [...this.files.values()].some(({ synced }) => synced.includes(octets));
  }

  /** What a power cut leaves: of what was not synced, `keep` says for each file how many octets came through. */
  powerCut(keep: (unsynced: number) => number = () => 0): void {
    for (const file of this.files.values()) {
      const unsynced = file.written.length - file.synced.length;
      file.room = Buffer.from(file.written.subarray(0, file.synced.length + keep(unsynced)));
      file.written = file.room;
      file.synced = file.room;
    }
    this.beforeSync = async () => undefined;
    this.failSync = null;
  }

  private used(): number {
    return [...this.files.values()].reduce((sum, { written }) => sum + written.length, 0);
  }

  private file(name: string): SpoolFile {
    this.open++;
    const of = () => {
      const found = this.files.get(name);
      if (found === undefined) throw new Error(`ENOENT: ${name}`);
      return found;
    };
    return {
      write: async (octets, at) => {
        const file = of();
        const room = this.capacity - this.used();
        const fits = Math.max(0, Math.min(octets.length, room));
        const length = Math.max(file.written.length, at + fits);
        if (length > file.room.length) {
          const grown = Buffer.alloc(length * 2);
          file.written.copy(grown);
          file.room = grown;
        }
        octets.copy(file.room, at, 0, fits);
        file.written = file.room.subarray(0, length);
        if (fits < octets.length) throw new Error("ENOSPC: no space left on device");
      },
      datasync: async () => {
        this.syncs++;
        const file = of();
        const { written } = file;
        await this.beforeSync();
        const error = this.failSync;
        this.failSync = null;
        if (error !== null) throw error;
        file.synced = written;
      },
      read: async (into, at) => {
        this.reads++;
        const error = this.failRead;
        this.failRead = null;
        if (error !== null) throw error;
        return of().written.copy(into, 0, at);
      },
      size: async () => of().written.length,
      close: async () => void this.open--,
    };
  }
}
