import { counted, type Finding, note, ok, wrong } from "../finding.ts";
import type { KeyRing } from "../keys/key-ring.ts";
import type { Database } from "./database.ts";
import { inspect } from "./inspection.ts";
import { loadKeys } from "./meter-keys.ts";
import { describeSealed, sealedWith } from "./reseal.ts";

/** A key is used up when its counter is: nine tenths of 2³² leave time to change it. */
const COUNTER_NOTE = Math.floor(0.9 * 2 ** 32);
/** Meters whose keys are opened to see whether the key-encryption key fits. */
const SAMPLE_MAX = 200;

/** Meters' keys and counters, and what waits for somebody. */
export async function inspectMeters(database: Database, ring: KeyRing | null): Promise<Finding[]> {
  return inspect([
    ["keys", () => inspectKeys(database)],
    ...(ring ? [["keys", () => inspectEnvelopes(database, ring)] as const] : []),
    ["counters", () => inspectCounters(database)],
    ["quarantine", () => inspectQuarantine(database)],
  ]);
}

/** Of an installation whose key-encryption key isn't there: whether it had one. */
export async function inspectSealed(database: Database, kekFile: string): Promise<Finding[]> {
  const sealed = await sealedWith(database);
  if (sealed.length === 0) return [];
  return [
    wrong(
      "keys",
      `${describeSealed(sealed)}, and ${kekFile} isn't there`,
      "put its copy back: the daemon doesn't start without it. Where there is no copy any more: `hes keys rekey --lost`, then import meters and keys again",
    ),
  ];
}

async function inspectKeys(database: Database): Promise<Finding> {
  const [row] = await database.query(
    `SELECT count(*) AS meters,
            count(*) FILTER (WHERE required_protection > 0 AND NOT EXISTS (
              SELECT FROM meter_keys k WHERE k.meter_id = m.id AND k.state = 'ACTIVE' AND k.kind = 'guek')) AS without_key
       FROM public.meters m WHERE status = 'active'`,
  );
  const { meters, without_key: without } = row!;
  return without > 0
    ? note(
        "keys",
        `${counted(without, "meter")} of ${meters} must protect what they send and have no global unicast encryption key here`,
        "import it (`hes keys import`), or lower required_protection",
      )
    : ok("keys", `${counted(meters, "active meter")} have what their protection needs`);
}

async function inspectEnvelopes(database: Database, ring: KeyRing): Promise<Finding> {
  const rows = await database.query(
    "SELECT DISTINCT meter_id FROM (SELECT meter_id FROM meter_keys WHERE state IN ('NEW', 'ACTIVE') ORDER BY random() LIMIT $1) s",
    [SAMPLE_MAX],
  );
  let unusable = 0;
  const meters = rows.map(({ meter_id: id }) => id as string);
  await database.withClient((client) => loadKeys(client, ring, meters, () => (unusable += 1)));
  return unusable > 0
    ? wrong(
        "keys",
        `${counted(unusable, "key")} of ${counted(meters.length, "meter")} can't be opened with the key-encryption key ${ring.kekId}`,
        "put the file back that they were sealed with (security.kek_file); former keys may stand below the current one",
      )
    : ok(
        "keys",
        `those of ${counted(meters.length, "meter")} were opened with the key-encryption key ${ring.kekId}`,
      );
}

async function inspectCounters(database: Database): Promise<Finding> {
  const rows = await database.query(
    `SELECT m.meter_number, c.counter FROM invocation_counters c JOIN meter_keys k ON k.id = c.key_id JOIN public.meters m ON m.id = k.meter_id
      WHERE c.counter > $1 AND k.state = 'ACTIVE' ORDER BY c.counter DESC LIMIT 5`,
    [COUNTER_NOTE],
  );
  return rows.length > 0
    ? wrong(
        "counters",
        `nearly used up: ${rows.map(({ meter_number: number, counter }) => `${number} (${counter})`).join(", ")}`,
        "change the keys of these meters: a key ends at 4294967295",
      )
    : ok("counters", "none is near its end");
}

async function inspectQuarantine(database: Database): Promise<Finding> {
  const rows = await database.query(
    "SELECT reason, count(*) AS frames FROM quarantine WHERE state = 'kept' GROUP BY reason ORDER BY frames DESC",
  );
  return rows.length > 0
    ? note(
        "quarantine",
        rows.map(({ reason, frames }) => `${counted(frames, "frame")} (${reason})`).join(", "),
        "see `hes quarantine list` and docs/operating/quarantine.md",
      )
    : ok("quarantine", "empty");
}

export interface MeterReach {
  readonly mode: "listen" | "dial";
  readonly host: string | null;
  readonly port: number | null;
  readonly status: string;
  /** Milliseconds since 1970. */
  readonly lastSeenAt: number | null;
}

/** How a meter is reached; null where there is none of that number. */
export async function findReach(database: Database, meterNumber: string): Promise<MeterReach | null> {
  const [row] = await database.query(
    `SELECT mode, host, port, status, last_seen_at AS "lastSeenAt" FROM public.meters WHERE meter_number = $1`,
    [meterNumber],
  );
  return (row as MeterReach | undefined) ?? null;
}
