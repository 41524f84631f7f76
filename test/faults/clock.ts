import { eventually } from "../support/daemon.ts";
import { ConfirmingMeters } from "./confirming-meters.ts";
import { FaultPlan } from "./fault-plan.ts";
import { exactly, type Figure } from "./figures.ts";
import { Installation } from "./installation.ts";
import { tally } from "./tally.ts";

export interface ClockOptions {
  readonly meters: number;
  /** Between two steps, and across each change of daylight saving. */
  readonly pushesPerStep: number;
  readonly long: boolean;
  readonly seed: number;
}

const HOUR_MS = 3_600_000;
/** The daemon's zone, by its settings and by its environment. */
const ZONE = "Europe/Berlin";
/** How long before a change of the zone's clocks the daemon is put; it goes through it while pushes come. */
const BEFORE_MS = 3_000;

interface Step {
  readonly name: string;
  /** Where the daemon's clock is put, milliseconds since 1970 UTC, from where it is. */
  readonly to: (now: number) => number;
}

/** The ends of daylight saving in Berlin, at 01:00 UTC on the last Sundays of October and March. */
const SHORT: readonly Step[] = [
  { name: "back a month, into the end of daylight saving", to: () => Date.UTC(2026, 9, 25, 1) - BEFORE_MS },
  { name: "on five months, into its beginning", to: () => Date.UTC(2027, 2, 28, 1) - BEFORE_MS },
];
const LONG: readonly Step[] = [
  ...SHORT,
  { name: "on an hour", to: (now) => now + HOUR_MS },
  { name: "back an hour", to: (now) => now - HOUR_MS },
  { name: "back two minutes", to: (now) => now - HOUR_MS / 30 },
  { name: "on two hundred years", to: (now) => now + 200 * 8_766 * HOUR_MS },
  { name: "to 1970", to: () => HOUR_MS },
  { name: "to where it was", to: () => Date.now() },
];

/** The daemon's clock is put on and back, and through both ends of daylight saving, while pushes come: nothing is lost, and its duties go on. */
export async function clock(options: ClockOptions): Promise<Figure[]> {
  const installation = await Installation.make();
  const plan = new FaultPlan(installation.folder);
  // What is received while the clock says 1970 is past its retention when it no longer does; the history is counted here.
  const kept = { HES_RETENTION__PUSH_HISTORY: "0", HES_RETENTION__RAW_FRAMES: "0" };
  Object.assign(installation.environment, plan.environment, { TZ: ZONE, HES_TIME__ZONE: ZONE, ...kept });
  try {
    return await stepped(installation, plan, options);
  } finally {
    await installation.remove();
  }
}

async function stepped(
  installation: Installation,
  plan: FaultPlan,
  options: ClockOptions,
): Promise<Figure[]> {
  const { seed, pushesPerStep } = options;
  const times: number[] = [];
  const meters = new ConfirmingMeters({
    ...{ meters: options.meters, pushesPerMeter: 10_000, seed, ratePerSecond: 5 * options.meters },
    ...{ repeatMs: 5_000, onConfirmed: ({ at }) => void times.push(at) },
  });
  await installation.register(meters);
  await strangerIsThere(installation);
  const daemon = await installation.startDaemon();
  const running = meters.run(installation.port);
  const figures: Figure[] = [];
  let offset = 0;
  for (const { name, to } of options.long ? LONG : SHORT) {
    await meters.confirms(pushesPerStep, "before the clock is put elsewhere");
    offset = to(Date.now() + offset) - Date.now();
    const puttingAt = performance.now();
    await plan.take(daemon, { clockMs: offset });
    await meters.confirms(pushesPerStep, name);
    await eventually(async () => (times.at(-1)! > puttingAt + 2 * BEFORE_MS ? true : null), name);
    const seconds = await untilPolled(installation, Date.now() + offset);
    figures.push({ name: `${name}: until what is due is done`, value: seconds, unit: "s" });
  }
  meters.finish();
  await running;
  await installation.drained(120_000);
  const { confirmed, lost, duplicated, unexpected } = await tally(installation, meters);
  return [
    ...figures,
    { name: "confirmed", value: confirmed },
    exactly("lost", lost, 0),
    exactly("duplicated", duplicated, 0),
    exactly("unexpected", unexpected, 0),
  ];
}

const STRANGER = "STRANGER";

/** A meter that never answers: that it was tried shows that the daemon does what is due. */
async function strangerIsThere(installation: Installation): Promise<void> {
  await installation.query(
    `INSERT INTO public.meters (meter_number, meter_type, mode, host, port)
     SELECT '${STRANGER}', meter_type, 'dial', '127.0.0.1', 1 FROM public.meters LIMIT 1`,
  );
}

/** Seconds until a poll is tried that is due now by the daemon's clock. */
async function untilPolled(installation: Installation, now: number): Promise<number> {
  const begun = performance.now();
  await installation.query(
    `INSERT INTO poll_tasks (purpose, meter_id, push_object_id, due_at, start_at, priority, retry_max)
     SELECT 'on-demand', id, (SELECT min(id) FROM push_objects), to_timestamp($1 / 1000.0), to_timestamp($1 / 1000.0), 0, 0
       FROM public.meters WHERE meter_number = '${STRANGER}'`,
    [now],
  );
  await eventually(
    async () => {
      const [found] = await installation.query("SELECT count(*)::int AS n FROM poll_tasks");
      return found!["n"] === 0 ? true : null;
    },
    "what is due by the daemon's clock is done",
    60_000,
  );
  return (performance.now() - begun) / 1_000;
}
