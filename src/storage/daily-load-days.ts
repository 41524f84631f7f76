import { firstWritableDay } from "./daily-load-floor.ts";
import type { Client } from "./database.ts";
import { setAsideViews } from "./dependent-views.ts";
import type { TimescaleCapabilities } from "./timescale.ts";
import { hasDailyAggregate, refreshAllDays, unmadeAggregates } from "./timescale-daily.ts";
import { dailyAggregate, daysComment, zoneOfComment } from "./timescale-daily-definition.ts";

export interface DaysReport {
  /** Zone that the days of daily_load_profile are cut in. */
  readonly timeZone: string;
  /** Whether they were made anew. */
  readonly remade: boolean;
}

/**
 * Sees to it that daily_load_profile is what this version defines. Where its days were cut in another zone than `timeZone` they are cut
 * anew if `changeZone` or if there are none, else left: the report says which zone they have.
 */
export async function ensureDays(
  client: Client,
  timescale: TimescaleCapabilities | null,
  timeZone: string,
  changeZone: boolean,
): Promise<DaysReport> {
  const { rows } = await client.query("SELECT obj_description('daily_load_profile'::regclass) AS comment");
  const comment = rows[0]!.comment as string | null;
  const aggregate = await hasDailyAggregate(client);
  if (comment === daysComment(timeZone)) {
    if (aggregate && timescale && changeZone) await makeMissing(client, timeZone);
    return { timeZone, remade: false };
  }
  const zone = zoneOfComment(comment) ?? timeZone;
  const keep = zone !== timeZone && !changeZone && (await hasDays(client));
  const wanted = keep ? zone : timeZone;
  if (comment === daysComment(wanted)) return { timeZone: wanted, remade: false };
  if (aggregate && timescale) await remakeAggregate(client, timescale, wanted);
  else await cutAnew(client, wanted, zone);
  return { timeZone: wanted, remade: true };
}

/** Goes on where making all days was broken off. */
async function makeMissing(client: Client, timeZone: string): Promise<void> {
  if ((await unmadeAggregates(client)).size > 0) await refreshAllDays(client, timeZone);
}

async function hasDays(client: Client): Promise<boolean> {
  const { rows } = await client.query("SELECT EXISTS (SELECT FROM daily_load_profile) AS any");
  return rows[0]!.any as boolean;
}

/** The daemon's table: every day that can be written is, at the next refresh. */
async function cutAnew(client: Client, timeZone: string, before: string): Promise<void> {
  const quoted = daysComment(timeZone).replaceAll("'", "''");
  await client.query("BEGIN");
  try {
    if (timeZone !== before) {
      await client.query(
        `INSERT INTO daily_load_changes (meter_id, day)
         SELECT meter_id, d FROM daily_load_profile, LATERAL (VALUES (day - 1), (day), (day + 1)) AS x(d)
          WHERE (d >= ${firstWritableDay("$1")}) IS NOT FALSE GROUP BY 1, 2 ORDER BY 1, 2 ON CONFLICT DO NOTHING`,
        [timeZone],
      );
    }
    await client.query(`COMMENT ON TABLE daily_load_profile IS '${quoted}'`);
    await client.query("COMMIT");
  } catch (error) {
    await client.query("ROLLBACK").catch(() => undefined);
    throw error;
  }
}

async function remakeAggregate(
  client: Client,
  timescale: TimescaleCapabilities,
  timeZone: string,
): Promise<void> {
  await client.query("BEGIN");
  try {
    await keepHistory(client, timeZone);
    const views = await setAsideViews(client, ["daily_load_profile"]);
    await client.query("DROP VIEW daily_load_profile; DROP MATERIALIZED VIEW daily_energy, daily_voltage");
    await client.query(dailyAggregate(timescale.home, timeZone));
    await views.restore();
    await client.query("COMMIT");
  } catch (error) {
    await client.query("ROLLBACK").catch(() => undefined);
    throw error;
  }
  await refreshAllDays(client, timeZone);
}

/**
 * Days that can't be made from raw rows any more move to daily_load_history, from where the view shows them. Where there are days from
 * before the first raw row, something was dropped, and the day of that row may have lost some, too.
 */
export async function keepHistory(client: Client, timeZone: string): Promise<void> {
  await client.query(
    `WITH raw AS (
       SELECT ((least((SELECT min(time) FROM energy_measurements), (SELECT min(time) FROM voltage_measurements))
                - interval '1 microsecond') AT TIME ZONE $1)::date AS day),
     first AS (
       SELECT greatest(${firstWritableDay("$1")},
                day + CASE WHEN EXISTS (SELECT FROM daily_load_profile p WHERE p.day < raw.day) THEN 1 ELSE 0 END) AS day FROM raw)
     INSERT INTO daily_load_history
     SELECT p.* FROM daily_load_profile p, first WHERE p.day < first.day OR first.day IS NULL ON CONFLICT DO NOTHING`,
    [timeZone],
  );
}
