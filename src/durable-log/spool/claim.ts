import { open, readFile, unlink } from "node:fs/promises";
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

/** Makes the directory this process's: one drainer per spool. What it gives back lets go of it. Throws SpoolTakenError. */
export async function claimSpool(directory: string): Promise<() => Promise<void>> {
  const path = join(directory, NAME);
  for (;;) {
    try {
      const file = await open(path, "wx", 0o600);
      await file.writeFile(`${processIdentity(process.pid)}\n`).finally(() => file.close());
      return () => unlink(path).catch(() => undefined);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    }
    const owner = (await readFile(path, "utf8").catch(() => "")).trim();
    const pid = otherLiving(owner);
    if (pid !== null) throw new SpoolTakenError(directory, pid);
    await unlink(path).catch(() => undefined);
  }
}
