import { type Database, ping } from "./storage/database.ts";

export interface DatabaseWatch {
  /** Looks at once, because something says that the database went away. */
  look(): void;
  close(): Promise<void>;
}

/**
 * Asks the database every `everyMs` whether it is there and can be written, on a connection of its own, so that a busy pool isn't mistaken for a
 * database that is away. Tells only changes, also of the reason why it is away.
 */
export function watchDatabase(
  database: Database,
  onChange: (condition: "ok" | { away: string }) => void,
  everyMs = 1_000,
): DatabaseWatch {
  /** Why it is away; null: it is there. */
  let away: string | null = null;
  let closed = false;
  let looking: Promise<void> | null = null;
  const look = (): Promise<void> => {
    looking ??= ask().finally(() => {
      looking = null;
    });
    return looking;
  };
  const tell = (now: string | null): void => {
    if (now !== away && !closed) onChange(now === null ? "ok" : { away: now });
    away = now;
  };
  const ask = async (): Promise<void> => {
    try {
      await ping(database, true);
      tell(null);
    } catch (error) {
      tell((error as Error).message);
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
