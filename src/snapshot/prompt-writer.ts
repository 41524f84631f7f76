import type { Snapshot } from "./snapshot.ts";

/** An import changes many meters, one notification each: they are written together. */
const TOGETHER_MS = 300;

/**
 * Has changes of meters written soon after they happened, instead of at the daemon's next tick: the database may go at any moment, and a meter that
 * isn't in the snapshot, or with keys that it had before, can't be served then. `write` may reject; the next tick writes too.
 */
export function writePromptly(snapshot: Snapshot, write: () => Promise<void>): { close(): void } {
  let timer: NodeJS.Timeout | null = null;
  snapshot.onMeterChange = () => {
    timer ??= setTimeout(() => {
      timer = null;
      write().catch(() => undefined);
    }, TOGETHER_MS);
  };
  return {
    close: () => {
      snapshot.onMeterChange = () => undefined;
      if (timer !== null) clearTimeout(timer);
    },
  };
}
