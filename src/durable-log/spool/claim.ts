import { link, readFile, readlink, rename, symlink, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { otherLiving, processIdentity } from "../../process-identity.ts";

const NAME = "owner.pid";

/** The spool is another living process's. */
export class SpoolTakenError extends Error {
  readonly pid: number;

  constructor(directory: string, pid: number) {
    super(
      `The spool ${directory} is in use by process ${pid}: each daemon needs one of its own (setting spool.dir).`,
    );
    this.name = "SpoolTakenError";
    this.pid = pid;
  }
}

/**
 * Makes the directory this process's: one drainer per spool. What it gives back lets go of it. The file appears with its content, so that
 * nobody finds it empty; and what a dead owner left is moved aside before it is removed, so that nobody removes a new owner's.
 * Throws SpoolTakenError.
 */
export async function claimSpool(directory: string): Promise<() => Promise<void>> {
  const path = join(directory, NAME);
  const own = `${path}.${process.pid}`;
  await writeOwner(own);
  try {
    while (!(await isMade(link(own, path)))) {
      const pid = otherLiving(await ownerIn(path));
      if (pid !== null) throw new SpoolTakenError(directory, pid);
      const aside = `${own}.dead`;
      if (!(await isMade(rename(path, aside)))) continue;
      const moved = await ownerIn(aside);
      // Between the look and the move another process may have come into possession.
      if (otherLiving(moved) !== null) await isMade(link(aside, path));
      await unlink(aside);
    }
  } finally {
    await unlink(own);
  }
  return () => unlink(path).catch(() => undefined);
}

/** A disk that is full has room for a name still, and a link points to what isn't there: a daemon must come up on it to drain it. */
async function writeOwner(path: string): Promise<void> {
  const identity = processIdentity(process.pid);
  try {
    await writeFile(path, `${identity}\n`, { mode: 0o600 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
    await unlink(path);
    await symlink(identity, path);
  }
}

const ownerIn = (path: string) =>
  readFile(path, "utf8")
    .catch(() => readlink(path))
    .then(
      (text) => text.trim(),
      () => "",
    );

/** False where the name is taken, or what was to be named is gone. */
async function isMade(work: Promise<void>): Promise<boolean> {
  try {
    await work;
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EEXIST" || code === "ENOENT") return false;
    throw error;
  }
}
