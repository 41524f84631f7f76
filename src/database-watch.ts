import { type Database, ping } from "./storage/database.ts";

export interface DatabaseWatch {
  /** Looks at once, because something says that the database went away. */
  look(): void;
  close(): Promise<void>;
}

/**
 * Asks the database every `everyMs` whether it is there, on a connection of its own, so that a busy pool isn't mistaken for a
 * database that is away. Tells only changes.
 */
export function watchDatabase(
  database: Database,
  onChange: (condition: "ok" | { away: string }) => void,
  everyMs = 1_000,
): DatabaseWatch {
  let isThere = true;
  let closed = false;
  let looking: Promise<void> | null = null;
  const look = (): Promise<void> => {
    looking ??= ask().finally(() => {
      looking = null;
    });
    return looking;
  };
  const ask = async (): Promise<void> => {
    try {
      await ping(database);
      if (!isThere && !closed) onChange("ok");
      isThere = true;
    } catch (error) {
      if (isThere && !closed) onChange({ away: (error as Error).message });
      isThere = false;
    }
  };
  const timer = setInterval(() => void look(), everyMs);
  return {
    look: () => void look(),
    close: async () => {
      closed = true;
      clearInterval(timer);
      await looking;
    },
  };
}
