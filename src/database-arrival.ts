import { isAway } from "./ingest/steps.ts";

export interface DatabaseArrival {
  /** No more attempts; resolves when the one that runs has ended. */
  close(): Promise<void>;
}

/** After the database was away, and after something else went wrong. */
const AGAIN_MS = { away: 500, fault: 10_000 };

/**
 * For a daemon that was started while the database is away: tries `bring` until it succeeds.
 *
 * @param onFault told what is wrong besides that the database is away; it is tried again
 */
export function awaitDatabase(bring: () => Promise<void>, onFault: (error: Error) => void): DatabaseArrival {
  let timer: NodeJS.Timeout | null = null;
  let closed = false;
  const attempt = async (): Promise<void> => {
    try {
      await bring();
    } catch (error) {
      const away = isAway(error);
      if (!away) onFault(error as Error);
      if (!closed) timer = setTimeout(begin, away ? AGAIN_MS.away : AGAIN_MS.fault);
    }
  };
  let running = Promise.resolve();
  const begin = () => {
    running = attempt();
  };
  begin();
  return {
    close: async () => {
      closed = true;
      if (timer !== null) clearTimeout(timer);
      await running;
    },
  };
}
