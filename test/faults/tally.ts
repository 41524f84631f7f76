import type { ConfirmingMeters } from "./confirming-meters.ts";
import type { Installation } from "./installation.ts";

export interface Tally {
  readonly confirmed: number;
  /** Confirmed, and not in the database. */
  readonly lost: number;
  /** In the database more than once. */
  readonly duplicated: number;
  /** In the database, and never sent so; or quarantined, or stored as other rows, or refused for a reason that isn't among those expected. */
  readonly unexpected: number;
  /** Refused for one of those. */
  readonly refused: number;
}

/** Compares what the meters were told with what the tables hold. */
export async function tally(
  installation: Installation,
  meters: ConfirmingMeters,
  /** Reason that refusals may have. */
  expected = "none",
): Promise<Tally> {
  const stored = await installation.query(
    "SELECT encode(digest, 'hex') AS digest, verdict FROM push_history WHERE kind = 'push'",
  );
  const times = new Map<string, number>();
  let unexpected = 0;
  for (const { digest, verdict } of stored as { digest: string; verdict: string }[]) {
    times.set(digest, (times.get(digest) ?? 0) + 1);
    if (!meters.sent.has(digest) || verdict !== "applied") unexpected++;
  }
  const [found] = (await installation.query(
    `SELECT (SELECT count(*) FROM instant_profile) AS rows, (SELECT count(DISTINCT (meter_id, time)) FROM instant_profile) AS captures,
            (SELECT count(*) FROM raw_frames) AS frames, (SELECT count(*) FROM reading_conflicts) AS conflicts,
            (SELECT coalesce(sum(occurrences) FILTER (WHERE reason <> $1), 0)::int FROM security_events) AS strange,
            (SELECT coalesce(sum(occurrences) FILTER (WHERE reason = $1), 0)::int FROM security_events) AS refused`,
    [expected],
  )) as Record<"rows" | "captures" | "frames" | "conflicts" | "strange" | "refused", number>[];
  const lost = [...meters.sent].filter((digest) => !times.has(digest)).length;
  const duplicated = [...times.values()].reduce((sum, count) => sum + count - 1, 0);
  const { rows, captures, frames, conflicts, strange, refused } = found!;
  return {
    confirmed: meters.confirmedCount,
    lost: Math.max(lost, meters.confirmedCount - Number(captures)),
    duplicated: duplicated + Number(rows) - Number(captures) + Math.max(0, Number(frames) - times.size),
    unexpected: unexpected + Number(conflicts) + Number(strange),
    refused: Number(refused),
  };
}
