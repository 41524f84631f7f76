import { parseObis } from "../dlms/cosem/obis-code.ts";
import { CaptureLists } from "../mapping/capture-lists.ts";
import { type CapturedPush, capturedColumn } from "../mapping/captured.ts";
import type { MappingConfiguration } from "../mapping/configuration.ts";
import { mapPush } from "../mapping/map-push.ts";
import { type MappingPlan, planOf } from "../mapping/plan.ts";
import type { PushOrigin } from "../mapping/push-origin.ts";
import type { Row } from "../mapping/rows.ts";
import { UnmappableError } from "../mapping/unmappable.ts";
import { zoneOfMeter, zoneRule } from "../mapping/zone.ts";
import type { CommitOutcome } from "../storage/accepted-push.ts";
import type { CodeRegistry } from "../storage/ingest-stores.ts";
import type { ClaimedPoll, PolledMeter } from "../storage/poll-tasks.ts";
import type { ReadPart, StoredPart } from "./read-part.ts";
import { ReadingError } from "./reading-error.ts";

export interface PolledRowsDependencies {
  readonly configuration: () => MappingConfiguration;
  readonly codes: CodeRegistry;
  /** Resolves after COMMIT. @throws StorageError */
  readonly commit: (meter: PolledMeter, rows: readonly Row[]) => Promise<CommitOutcome>;
  /** IANA zone of meters that have none of their own. */
  readonly zone: string;
}

/** What a poll read becomes rows of tables by the same plans as what a push brings; only their origin says `poll`. */
export class PolledRows {
  private readonly with: PolledRowsDependencies;
  private lists: CaptureLists;

  constructor(dependencies: PolledRowsDependencies) {
    this.with = dependencies;
    this.lists = new CaptureLists(dependencies.configuration());
  }

  /** Rows that can't be mapped are left, and the others stored. @throws StorageError, ReadingError where nothing can be stored */
  async store(part: ReadPart, poll: ClaimedPoll): Promise<StoredPart> {
    if (part.rows.length === 0) return { values: 0, rows: 0, left: 0, reason: null };
    const push = this.captured(part, poll);
    const plan = await this.plan(push, poll.meter);
    const mapped = mapEach(push, plan, this.origin(poll.meter));
    if (mapped.left === push.rows.length) throw new ReadingError("unmappable", mapped.reason!);
    const outcome = await this.with.commit(poll.meter, mapped.rows);
    if (outcome.verdict === "quarantined") {
      throw new ReadingError("unmappable", "the database refuses the rows; the log says why");
    }
    return { values: mapped.values, rows: outcome.rowsStored, left: mapped.left, reason: mapped.reason };
  }

  private captured({ columns, rows }: ReadPart, { list, meter }: ClaimedPoll): CapturedPush {
    const configuration = this.with.configuration();
    if (this.lists.configuration !== configuration) this.lists = new CaptureLists(configuration);
    const named = columns.map(({ code, classId, attribute, dataIndex, scaler, unit }) =>
      capturedColumn(parseObis(code), classId, attribute, dataIndex, scaler, unit),
    );
    return {
      layout: "attribute",
      identifiers: [],
      pushSetup: null,
      clock: null,
      list: this.lists.for(meter).ofColumns(named, list.kind),
      first: 0,
      rows,
      problem: null,
    };
  }

  private async plan({ list }: CapturedPush, meter: PolledMeter): Promise<MappingPlan> {
    const type = { name: meter.meterType, category: meter.category };
    const plan = planOf(list!, type, this.with.configuration());
    if (plan.unknown.length === 0) return plan;
    await this.with.codes.register(
      plan.unknown.map(({ code, classId, attribute }) => ({ code, classId, attribute })),
    );
    const complete = planOf(list!, type, this.with.configuration());
    if (complete.unknown.length === 0) return complete;
    throw new ReadingError("unmappable", "its codes could not be registered");
  }

  private origin(meter: PolledMeter): PushOrigin {
    return {
      meterId: meter.id,
      zone: zoneRule(zoneOfMeter(meter, this.with.zone), meter.deviationSign),
      origin: "poll",
      receivedAtMs: Date.now(),
      notifiedAtMs: null,
    };
  }
}

interface Mapped {
  readonly rows: readonly Row[];
  readonly values: number;
  readonly left: number;
  readonly reason: string | null;
}

/** All at once; where one can't be, each by itself: a row without a time must not cost a month of rows. */
function mapEach(push: CapturedPush, plan: MappingPlan, how: PushOrigin): Mapped {
  try {
    const { rows, valueCount } = mapPush(push, plan, how);
    return { rows, values: valueCount, left: 0, reason: null };
  } catch (error) {
    if (!(error instanceof UnmappableError)) throw error;
    if (push.rows.length === 1) return { rows: [], values: 0, left: 1, reason: error.message };
  }
  const each = push.rows.map((row) => mapEach({ ...push, rows: [row] }, plan, how));
  return {
    rows: each.flatMap(({ rows }) => rows),
    values: each.reduce((sum, { values }) => sum + values, 0),
    left: each.reduce((sum, { left }) => sum + left, 0),
    reason: each.find(({ reason }) => reason !== null)?.reason ?? null,
  };
}
