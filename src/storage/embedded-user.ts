import { createHash, randomBytes } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { chmod, chown, mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { userInfo } from "node:os";
import { dirname, join, resolve } from "node:path";
import { StorageError } from "./storage-error.ts";

/** Where root keeps what an unprivileged user must reach: binaries, and databases whose own place it can't enter. */
export const SHARED_HOME = "/var/lib/dlms-hes";

export interface SystemUser {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

/** PostgreSQL refuses to run as root: then the first of these that the system has runs it. Null: not root. */
export function systemUser(): SystemUser | null {
  if (process.getuid?.() !== 0) {
    try {
      userInfo();
    } catch {
      throw new StorageError(
        "unavailable",
        `The embedded PostgreSQL can't run as uid ${process.getuid?.()}, which has no entry in /etc/passwd: ` +
          "add one, run as another user, or set database.url.",
      );
    }
    return null;
  }
  const users = new Map(
    readFileSync("/etc/passwd", "utf8")
      .split("\n")
      .map((line) => line.split(":"))
      .map(([name = "", , uid, gid]) => [name, { name, uid: Number(uid), gid: Number(gid) }]),
  );
  const user = users.get("postgres") ?? users.get("nobody");
  if (!user) {
    throw new StorageError(
      "unavailable",
      "PostgreSQL doesn't run as root, and the system has neither a user postgres nor nobody: " +
        "run the daemon as an unprivileged user, or set database.url.",
    );
  }
  return user;
}

/** Whether `user` may pass through every directory above `path` and into it. Missing ones will be made passable. */
export function canEnter(path: string, user: SystemUser): boolean {
  for (let at = resolve(path); ; at = dirname(at)) {
    const found = statSync(at, { throwIfNoEntry: false });
    if (found) {
      const bit = found.uid === user.uid ? 0o100 : found.gid === user.gid ? 0o010 : 0o001;
      if ((found.mode & bit) === 0) return false;
    }
    if (at === dirname(at)) return true;
  }
}

/**
 * The directory of the embedded database: `<dataDir>/postgres`, or, where the user that runs PostgreSQL can't get
 * there (a data directory in root's home), one under SHARED_HOME, named in `<dataDir>/postgres.location`.
 */
export async function databaseHome(dataDir: string, user: SystemUser | null): Promise<string> {
  await mkdir(dataDir, { recursive: true });
  const own = join(resolve(dataDir), "postgres");
  if (user !== null) await letThrough(resolve(dataDir), user);
  if (user === null || canEnter(own, user)) {
    await mkdir(own, { recursive: true, mode: 0o700 });
    if (user) await chown(own, user.uid, user.gid);
    return own;
  }
  const pointer = join(dataDir, "postgres.location");
  let home = await readFile(pointer, "utf8").then(
    (text) => text.trim(),
    () => "",
  );
  if (home === "") {
    const name = createHash("sha256").update(own).update(randomBytes(16)).digest("hex").slice(0, 16);
    home = join(SHARED_HOME, "databases", name);
    await writeFile(pointer, `${home}\n`);
  }
  await mkdir(dirname(home), { recursive: true, mode: 0o755 });
  await mkdir(home, { recursive: true, mode: 0o700 });
  await chown(home, user.uid, user.gid);
  return home;
}

/** A data directory that only root may enter (mkdtemp makes them so) is made passable, not readable, where those above it are. */
async function letThrough(dataDir: string, user: SystemUser): Promise<void> {
  if (canEnter(dataDir, user) || !canEnter(dirname(dataDir), user)) return;
  await chmod(dataDir, (await stat(dataDir)).mode | 0o001);
}
