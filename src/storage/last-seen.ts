import type { AcceptedPush, CommitOutcome, PushStore } from "./accepted-push.ts";
import type { Database } from "./database.ts";
import { recordSeen } from "./meters.ts";

export interface SeenStore extends PushStore {
  /** Writes when meters were last heard of: one statement for all of them. */
  flush(): Promise<void>;
}

/** A store that remembers whose pushes it committed, so that `meters.last_seen_at` costs no update for each push. */
export function rememberSeen(store: PushStore, database: Database, now: () => number = Date.now): SeenStore {
  let seen = new Map<string, number>();
  return {
    commit: async (pushes: readonly AcceptedPush[]): Promise<CommitOutcome[]> => {
      const outcomes = await store.commit(pushes);
      const at = now();
      for (const { meterId } of pushes) seen.set(meterId, at);
      return outcomes;
    },
    flush: async () => {
      const written = seen;
      seen = new Map();
      try {
        await recordSeen(database, written);
      } catch (error) {
        // Later sightings win over those that couldn't be written.
        seen = new Map([...written, ...seen]);
        throw error;
      }
    },
  };
}
