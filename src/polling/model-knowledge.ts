import { boundedCache } from "../bounded-cache.ts";
import { describeRefusal } from "../dlms/association/requests.ts";
import { captureObjectFromData } from "../dlms/cosem/capture-object.ts";
import { formatObis, parseObis } from "../dlms/cosem/obis-code.ts";
import type { Data } from "../dlms/encoding/data-types.ts";
import type { KnownColumn, KnownProfile, ModelProfiles } from "../storage/model-profiles.ts";
import type { PolledMeter } from "../storage/poll-tasks.ts";
import type { MeterAssociation, ReadOutcome } from "./meter-association.ts";
import { ReadingError } from "./reading-error.ts";
import { type PlainColumn, readScalers, scalerAttribute } from "./scalers.ts";

const PROFILE_GENERIC = 7;
const CAPTURE_OBJECTS = 3;
const CAPTURE_PERIOD = 4;
const PROFILE_ENTRIES = 8;

/** Profiles kept in memory, and for how long, so that a row deleted in the database is noticed. */
const PROFILES_MAX = 10_000;
const PROFILES_MS = 600_000;

/**
 * What meters say of themselves: capture objects, scalers, capture period. It is read from the first meter of a model and kept for all of them; a
 * meter whose rows don't fit what its model is known for gets an entry of its own.
 */
export class ModelKnowledge {
  private readonly kept: ModelProfiles;
  private readonly models = boundedCache<number>(PROFILES_MAX, { ttl: PROFILES_MS });
  private readonly profiles = boundedCache<KnownProfile>(PROFILES_MAX, { ttl: PROFILES_MS });

  constructor(kept: ModelProfiles) {
    this.kept = kept;
  }

  /** @throws PollError, ReadingError where the meter doesn't tell what its profile consists of */
  async profile(
    association: MeterAssociation,
    meter: PolledMeter,
    logicalName: string,
  ): Promise<KnownProfile> {
    const modelId = await this.modelOf(meter);
    const cached =
      this.profiles.get(`${modelId}/${logicalName}/${meter.id}`) ??
      this.profiles.get(`${modelId}/${logicalName}`);
    if (cached !== undefined) return cached;
    const kept = await this.kept.profile(modelId, meter.id, logicalName);
    if (kept !== null) {
      this.profiles.set(`${modelId}/${logicalName}/${meter.id}`, kept);
      return kept;
    }
    const read = await readProfile(association, logicalName);
    await this.keep(meter, null, logicalName, read);
    return read;
  }

  /** Reads what a profile consists of again, for a meter that differs from its model. */
  async profileAgain(
    association: MeterAssociation,
    meter: PolledMeter,
    logicalName: string,
  ): Promise<KnownProfile> {
    const read = await readProfile(association, logicalName);
    await this.keep(meter, meter.id, logicalName, read);
    return read;
  }

  /** Remembers how meters of this model let rows be chosen, and this meter where it differs from them. */
  async choose(meter: PolledMeter, logicalName: string, selection: KnownProfile["selection"]): Promise<void> {
    const modelId = await this.modelOf(meter);
    await this.kept.keepSelection(modelId, meter.id, logicalName, selection);
    this.profiles.delete(`${modelId}/${logicalName}/${meter.id}`);
    this.profiles.delete(`${modelId}/${logicalName}`);
  }

  /** Objects with their scalers; what the model isn't known for yet is read. @throws PollError */
  async scalers(
    association: MeterAssociation,
    meter: PolledMeter,
    columns: readonly PlainColumn[],
  ): Promise<KnownColumn[]> {
    const modelId = await this.modelOf(meter);
    const known = new Map((await this.kept.scalers(modelId)).map((column) => [keyOf(column), column]));
    const missing = columns.filter((c) => scalerAttribute(c) !== null && !known.has(keyOf(c)));
    if (missing.length > 0) {
      const read = await readScalers(association, missing, null);
      await this.kept.keepScalers(modelId, read);
      for (const column of read) known.set(keyOf(column), column);
    }
    return columns.map((column) => {
      const { scaler, unit } = known.get(keyOf(column)) ?? { scaler: null, unit: null };
      return { ...column, scaler, unit };
    });
  }

  private async modelOf(meter: PolledMeter): Promise<number> {
    const { meterType, manufacturer, model, firmware } = meter;
    const key = JSON.stringify([meterType, manufacturer, model, firmware]);
    const id = this.models.get(key) ?? (await this.kept.modelOf(meter));
    this.models.set(key, id);
    return id;
  }

  private async keep(
    meter: PolledMeter,
    meterId: string | null,
    logicalName: string,
    profile: KnownProfile,
  ): Promise<void> {
    const modelId = await this.modelOf(meter);
    await this.kept.keepProfile(modelId, meterId, logicalName, profile);
    this.profiles.delete(`${modelId}/${logicalName}/${meter.id}`);
    this.profiles.set(`${modelId}/${logicalName}${meterId === null ? "" : `/${meterId}`}`, profile);
  }
}

const keyOf = ({ classId, code, attribute }: PlainColumn) => `${classId}/${code}/${attribute}`;

async function readProfile(association: MeterAssociation, logicalName: string): Promise<KnownProfile> {
  const ask = async (attributeId: number): Promise<ReadOutcome> => {
    const attribute = { classId: PROFILE_GENERIC, instanceId: parseObis(logicalName), attributeId };
    const [outcome] = await association.read([{ attribute }]);
    return outcome!;
  };
  const objects = await ask(CAPTURE_OBJECTS);
  if (objects.kind !== "data") {
    const text = `the capture objects of ${logicalName} can't be read: ${describeRefusal(objects)}`;
    throw new ReadingError("refused", text);
  }
  const columns = captureColumns(objects.value, logicalName);
  const period = numberOf(await ask(CAPTURE_PERIOD));
  const entries = numberOf(await ask(PROFILE_ENTRIES));
  return {
    columns: await readScalers(association, columns, logicalName),
    capturePeriodSeconds: period,
    profileEntries: entries,
    selection: "range",
  };
}

function captureColumns(data: Data, logicalName: string): PlainColumn[] {
  const objects = data.type === "array" ? data.value.map(captureObjectFromData) : [];
  if (objects.length === 0 || objects.includes(null)) {
    throw new ReadingError("unmappable", `the capture objects of ${logicalName} are none: ${data.type}`);
  }
  return objects.map((object) => ({
    classId: object!.classId,
    code: formatObis(object!.logicalName),
    attribute: object!.attributeIndex,
    dataIndex: object!.dataIndex,
  }));
}

function numberOf(outcome: ReadOutcome): number | null {
  return outcome.kind === "data" && typeof outcome.value.value === "number" ? outcome.value.value : null;
}
