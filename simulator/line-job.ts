export type ConnectionHabit = "standing" | "per-push";

/** What is done on the line, one after the other. Octets behind a hang-up go over a new connection. */
export type Step =
  | { readonly kind: "octets"; readonly octets: Buffer }
  | { readonly kind: "pause"; readonly ms: number }
  /** close: what was written arrives. reset: it may not. abandon: the connection stays open and nobody uses it. */
  | { readonly kind: "hang-up"; readonly how: "close" | "reset" | "abandon" };

export interface Job {
  readonly steps: readonly Step[];
  /** The push as it should be: what is repeated where a connection breaks. */
  readonly octets: Buffer;
  /** Called when all octets of the steps were handed to a connection for the first time. */
  readonly onSent: () => void;
  /** Called when it is sent once more, plainly: what else its steps had may have arrived or not. */
  readonly onPlain: () => void;
  /** When that was last, real ms since 1970; 0: not yet. */
  sentAtMs: number;
}

/** What is done where a push is sent as it should be. */
export function plainSteps(octets: Buffer, habit: ConnectionHabit): Step[] {
  return [{ kind: "octets", octets }, ...closingSteps(habit)];
}

export function closingSteps(habit: ConnectionHabit): Step[] {
  return habit === "per-push" ? [{ kind: "hang-up", how: "close" }] : [];
}

/** The job without what was to happen on the way. Its counter, its octets and who is told stay. */
export function plainly(job: Job, habit: ConnectionHabit): Job {
  job.onPlain();
  return { ...job, onPlain: nothing, steps: plainSteps(job.octets, habit) };
}

/** A push that was sent, once more. */
export function repetition(
  { octets, sentAtMs, onPlain }: Pick<Job, "octets" | "sentAtMs" | "onPlain">,
  habit: ConnectionHabit,
): Job {
  return plainly({ steps: [], octets, onSent: nothing, onPlain, sentAtMs }, habit);
}

const nothing = () => {};
