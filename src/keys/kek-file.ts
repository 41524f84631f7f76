import { randomBytes } from "node:crypto";
import {
  closeSync,
  fchmodSync,
  fchownSync,
  fstatSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  type Stats,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { EXIT, UserError } from "../exit.ts";
import { KEK_OCTETS, type KekProvider, parseKeks } from "./kek-provider.ts";

const MODE = 0o400;
const GROUP_READS = 0o040;

/**
 * Reads the key-encryption keys of `path`, and reads them again when the file has changed: a rotation needs no restart. A missing file is
 * looked for again with each call; until it is there nothing opens, and `current` throws UserError.
 * @throws UserError where the file can't be read or holds something else
 */
export function fileKek(path: string): KekProvider {
  let keys = isThere(path) ? parseKeks(read(path), path) : null;
  let stamp = stampOf(path);
  const look = (): void => {
    const now = stampOf(path);
    if (now === stamp) return;
    try {
      keys = parseKeks(readFileSync(path, "utf8"), path);
      stamp = now;
    } catch {
      // Away, or half written by hand: what was read before goes on being used until it can be read.
    }
  };
  return {
    current: () => {
      look();
      if (keys === null) throw unusable(path, new Error("it isn't there"));
      return keys.current();
    },
    find: (id) => {
      const known = keys?.find(id);
      if (known) return known;
      look();
      return keys?.find(id) ?? null;
    },
  };
}

/**
 * Puts a new random key before the others of the file, so that everything is sealed with it from now on. Answers its id. The file is
 * replaced in one step, and durably before anything can be sealed with the new key.
 * @throws UserError where the file can't be replaced
 */
export function addKekToFile(path: string): string {
  const before = read(path);
  parseKeks(before, path);
  const text = `${randomKey()}${before}`;
  put(text, path, renameSync, statSync(path));
  return parseKeks(text, path).current().id;
}

/**
 * Makes the file with a random key and mode 0400, unless it is there. Only where nothing was sealed yet: what was sealed with another key
 * stays closed.
 * @throws UserError where it can't be made
 */
export function makeKekFile(path: string): void {
  if (isThere(path)) return;
  try {
    mkdirSync(dirname(path), { recursive: true });
  } catch (error) {
    throw unusable(path, error);
  }
  put(randomKey(), path, linkUnlessThere);
}

/** @throws UserError where nobody can tell, as in a directory that this user may not look into */
export function isThere(path: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false }) !== undefined;
  } catch (error) {
    throw unusable(path, error);
  }
}

export type Access = "missing" | "owner" | "group" | "others";

/** Who may read the file besides root. "others": or change it, where it isn't the owner. */
export function whoReads(path: string): Access {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) return "missing";
  // Windows has no such bits, and says that everybody may do everything.
  if (process.platform === "win32" || (found.mode & 0o077) === 0) return "owner";
  return (found.mode & 0o077) === GROUP_READS ? "group" : "others";
}

/**
 * Puts a file in its place by `place`, whole and on the disk before anything can be sealed with what it holds: without it the keys of all meters
 * are lost. Of a former one it takes over the owner, and the group that may read it: whoever puts a key there isn't always who the daemon runs as.
 * @throws UserError
 */
function put(text: string, path: string, place: (from: string, to: string) => void, former?: Stats): void {
  const next = join(dirname(path), `.${randomBytes(6).toString("hex")}.kek`);
  try {
    const file = openSync(next, "wx", MODE);
    try {
      writeFileSync(file, text);
      if (former !== undefined) takeOver(file, former);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    place(next, path);
    syncDirectory(dirname(path));
  } catch (error) {
    throw unusable(path, error);
  } finally {
    rmSync(next, { force: true });
  }
}

/** Only root gives a file away; somebody else who may not is told so before anything has changed. */
function takeOver(file: number, { uid, gid, mode }: Stats): void {
  const own = fstatSync(file);
  if (own.uid !== uid || own.gid !== gid) fchownSync(file, uid, gid);
  fchmodSync(file, MODE | (mode & GROUP_READS));
}

/** Changes whenever the file does. */
function stampOf(path: string): string {
  const found = statSync(path, { throwIfNoEntry: false });
  return found ? `${found.ino}/${found.size}/${found.mtimeMs}` : "";
}

function syncDirectory(path: string): void {
  const directory = openSync(path, "r");
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw unusable(path, error);
  }
}

const randomKey = () => `${randomBytes(KEK_OCTETS).toString("hex")}\n`;

/** Of two daemons that start together one makes it, and the other reads it. */
function linkUnlessThere(from: string, to: string): void {
  try {
    linkSync(from, to);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
}

function unusable(path: string, error: unknown): UserError {
  return new UserError(
    EXIT.configuration,
    `The key-encryption key ${path} can't be read or made (${(error as Error).message}): see security.kek_file.`,
    { cause: error },
  );
}
