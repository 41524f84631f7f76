import { mkdir, open, readdir, rename, unlink } from "node:fs/promises";
import { join } from "node:path";

/** As much of a file system as the spool needs; tests put faults into it. All offsets and lengths in octets. */
export interface SpoolFiles {
  list(): Promise<string[]>;
  /** A new file whose name is durable when this resolves. Rejects where it exists. */
  create(name: string): Promise<SpoolFile>;
  open(name: string): Promise<SpoolFile>;
  remove(name: string): Promise<void>;
  /** Gives a file that was damaged another name, so that somebody can look at it. */
  setAside(name: string): Promise<void>;
  /** Puts `content` in place of the file, whole or not at all; not synced. */
  replace(name: string, content: Buffer): Promise<void>;
}

export interface SpoolFile {
  write(octets: Buffer, at: number): Promise<void>;
  /** fdatasync: what was written is on the disk when this resolves. */
  datasync(): Promise<void>;
  /** How many octets were read; fewer than asked for only at the end. */
  read(into: Buffer, at: number): Promise<number>;
  size(): Promise<number>;
  close(): Promise<void>;
}

/** Raw APDUs are nobody else's business. */
const FILE_MODE = 0o600;
const DIRECTORY_MODE = 0o700;

/** The files of a directory, which is made where it is missing. */
export async function directoryFiles(directory: string): Promise<SpoolFiles> {
  await mkdir(directory, { recursive: true, mode: DIRECTORY_MODE });
  return {
    list: () => readdir(directory),
    create: async (name) => {
      const file = await openFile(join(directory, name), "wx+");
      await syncDirectory(directory);
      return file;
    },
    open: (name) => openFile(join(directory, name), "r"),
    remove: (name) => unlink(join(directory, name)),
    setAside: (name) => rename(join(directory, name), join(directory, `${name}.damaged`)),
    replace: async (name, content) => {
      const path = join(directory, name);
      const handle = await open(`${path}.new`, "w", FILE_MODE);
      await handle.writeFile(content).finally(() => handle.close());
      await rename(`${path}.new`, path);
    },
  };
}

async function openFile(path: string, flags: "wx+" | "r"): Promise<SpoolFile> {
  const handle = await open(path, flags, FILE_MODE);
  return {
    write: async (octets, at) => {
      for (let done = 0; done < octets.length; ) {
        const { bytesWritten } = await handle.write(octets, done, octets.length - done, at + done);
        done += bytesWritten;
      }
    },
    datasync: () => handle.datasync(),
    read: async (into, at) => {
      let done = 0;
      while (done < into.length) {
        const { bytesRead } = await handle.read(into, done, into.length - done, at + done);
        if (bytesRead === 0) break;
        done += bytesRead;
      }
      return done;
    },
    size: async () => (await handle.stat()).size,
    close: () => handle.close(),
  };
}

/** Without this a power cut may leave a file without a name. */
async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, "r");
  await handle.sync().finally(() => handle.close());
}
