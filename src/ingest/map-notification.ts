import { toEpochMs } from "../dlms/encoding/date-time.ts";
import { lacksScalers, mapPush } from "../mapping/map-push.ts";
import { type MappingPlan, planOf } from "../mapping/plan.ts";
import type { PushOrigin } from "../mapping/push-origin.ts";
import type { Row } from "../mapping/rows.ts";
import { UnmappableError } from "../mapping/unmappable.ts";
import { zoneOfMeter, zoneRule } from "../mapping/zone.ts";
import type { QuarantineReason } from "../storage/accepted-push.ts";
import type { MeterRecord } from "../storage/meter-record.ts";
import type { Arrival } from "./arrival.ts";
import type { IngestDependencies } from "./dependencies.ts";
import type { StatusWords } from "./events.ts";
import type { Notification } from "./notification.ts";
import { lookUp, type Patience, type Steps } from "./steps.ts";

interface Readable {
  readonly meter: MeterRecord;
  readonly notification: Notification | null;
  readonly problem: string | null;
}

const typeOf = ({ meterType, category }: MeterRecord) => ({ name: meterType, category });

/** Codes that nobody knows are registered once; if the configuration still lacks them, something else is wrong. */
const REGISTRATIONS_MAX = 2;

/** The plan for a push where all that it needs is in memory already, as it nearly always is; null where it isn't, or nothing explains the body. */
export function readyPlan(
  { meter, notification }: Readable,
  { configuration }: Pick<IngestDependencies, "configuration">,
  statusWords: StatusWords,
): MappingPlan | null {
  const list = notification?.push.list ?? null;
  if (list === null) return null;
  const plan = planOf(list, typeOf(meter), configuration());
  const isReady = plan.unknown.length === 0 && statusWords.knows(meter.id, plan.statusWords);
  return isReady ? plan : null;
}

/** The plan for a push, with everything that it needs loaded; null where nothing explains the body. */
export function* preparePlan(
  { meter, notification }: Readable,
  dependencies: IngestDependencies,
  statusWords: StatusWords,
  patience: Patience,
): Steps<MappingPlan | null> {
  const list = notification?.push.list ?? null;
  if (list === null) return null;
  let plan = planOf(list, typeOf(meter), dependencies.configuration());
  for (let i = 0; plan.unknown.length > 0 && i < REGISTRATIONS_MAX; i++) {
    const objects = plan.unknown.map(({ code, classId, attribute }) => ({ code, classId, attribute }));
    yield* lookUp(() => dependencies.codes.register(objects), patience);
    plan = planOf(list, typeOf(meter), dependencies.configuration());
  }
  if (plan.unknown.length > 0) return null;
  yield* statusWords.load(meter.id, plan.statusWords as readonly number[], patience);
  return plan;
}

/** Whether it would be put aside for something that the configuration may say by now. */
export function isUnexplained(
  { meter, notification }: Readable,
  plan: MappingPlan | null,
  { zone }: IngestDependencies,
): boolean {
  if (notification === null) return false;
  if (plan === null) return true;
  if (plan.unscaled.length === 0) return false;
  return lacksScalers(notification.push, plan, zoneRule(zoneOfMeter(meter, zone), meter.deviationSign));
}

export interface MappedNotification {
  readonly rows: Row[];
  readonly valueCount: number;
  readonly quarantine: QuarantineReason | null;
}

/** Rows, or the reason why there are none. */
export function mapNotification(
  { meter, notification, problem }: Readable,
  plan: MappingPlan | null,
  arrival: Arrival,
  { zone, observer }: IngestDependencies,
  /** null: bits that changed are not looked for. */
  statusWords: StatusWords | null,
): MappedNotification {
  if (notification === null) return setAside("undecodable", problem ?? "");
  const { push } = notification;
  if (plan === null) return setAside("unmappable", push.problem ?? "its codes could not be registered");
  const rule = zoneRule(zoneOfMeter(meter, zone), meter.deviationSign);
  const how: PushOrigin = {
    meterId: meter.id,
    zone: rule,
    origin: "push",
    receivedAtMs: arrival.receivedAtMs,
    notifiedAtMs: notification.time === null ? null : toEpochMs(notification.time, rule),
  };
  const started = performance.now();
  try {
    const mapped = mapPush(push, plan, how);
    for (const word of mapped.statusWords) {
      mapped.rows.push(...(statusWords?.changes(word, meter, plan.configuration, how) ?? []));
    }
    observer.decodeSeconds((performance.now() - started) / 1_000);
    return { rows: mapped.rows, valueCount: mapped.valueCount, quarantine: null };
  } catch (error) {
    if (error instanceof UnmappableError) return setAside(error.reason, error.message);
    throw error;
  }
}

function setAside(reason: string, text: string): MappedNotification {
  return { rows: [], valueCount: 0, quarantine: { reason, text } };
}
