import { describeRefusal } from "../dlms/association/requests.ts";
import type { SelectiveAccessDescriptor } from "../dlms/cosem/attribute-descriptor.ts";
import type { CaptureObjectDefinition } from "../dlms/cosem/capture-object.ts";
import { DataMismatch } from "../dlms/cosem/classes/data-codec.ts";
import { parseObis } from "../dlms/cosem/obis-code.ts";
import { clockColumnOf, profileRows } from "../dlms/cosem/profile-buffer.ts";
import type { Data } from "../dlms/encoding/data-types.ts";
import { DATE_TIME_OCTETS, readEpochMs } from "../dlms/encoding/date-time.ts";
import { zoneOfMeter, zoneRule } from "../mapping/zone.ts";
import type { KnownColumn, KnownProfile } from "../storage/model-profiles.ts";
import type { PolledMeter } from "../storage/poll-tasks.ts";
import type { MeterAssociation, ReadOutcome } from "./meter-association.ts";
import type { PollSurroundings } from "./poll-session.ts";
import type { ReadPart } from "./read-part.ts";
import { ReadingError } from "./reading-error.ts";

const PROFILE_GENERIC = 7;
const BUFFER = 2;

/** A profile of a meter in an open association, of which it is known what its rows consist of. */
export class ProfileBuffer {
  readonly meter: PolledMeter;
  readonly logicalName: string;
  readonly #association: MeterAssociation;
  readonly #around: PollSurroundings;
  #profile: KnownProfile;
  #given = false;

  constructor(
    association: MeterAssociation,
    meter: PolledMeter,
    logicalName: string,
    profile: KnownProfile,
    around: PollSurroundings,
  ) {
    this.#association = association;
    this.meter = meter;
    this.logicalName = logicalName;
    this.#profile = profile;
    this.#around = around;
  }

  get profile(): KnownProfile {
    return this.#profile;
  }

  /** Whether it has given rows in this association. */
  get hasGiven(): boolean {
    return this.#given;
  }

  /** Column of the time of capture, from 0; null: its rows have none. */
  get clockColumn(): number | null {
    return clockColumnOf(objectsOf(this.#profile.columns));
  }

  /** When a row was captured, in milliseconds since 1970 UTC; null where it doesn't say. */
  timeOf(row: readonly Data[]): number | null {
    const { clockColumn } = this;
    const clock = clockColumn === null ? undefined : row[clockColumn]?.value;
    if (!Buffer.isBuffer(clock) || clock.length !== DATE_TIME_OCTETS) return null;
    return readEpochMs(
      clock,
      0,
      zoneRule(zoneOfMeter(this.meter, this.#around.zone), this.meter.deviationSign),
    );
  }

  /** Another attribute of the profile. @throws PollError */
  async attribute(attributeId: number): Promise<ReadOutcome> {
    const [outcome] = await this.#association.read([{ attribute: this.#attribute(attributeId) }]);
    return outcome!;
  }

  /** Rows, or why the meter gives none. @throws PollError, ReadingError */
  async read(selection: SelectiveAccessDescriptor | null): Promise<ReadPart | RefusedRows> {
    let octets = 0;
    const [outcome] = await this.#association.read([{ attribute: this.#attribute(BUFFER), selection }], {
      onProgress: (progress) => (octets = progress.octets),
    });
    if (outcome!.kind !== "data") return outcome!;
    const rows = rowsOf(outcome!.value, this.#profile);
    this.#given ||= rows !== null && rows.length > 0;
    if (rows !== null) return { columns: this.#profile.columns, rows, octets };
    // It differs from the meter that its model is known by.
    this.#profile = await this.#around.knowledge.profileAgain(
      this.#association,
      this.meter,
      this.logicalName,
    );
    const again = rowsOf(outcome!.value, this.#profile);
    if (again !== null) return { columns: this.#profile.columns, rows: again, octets };
    throw new ReadingError("unmappable", `rows of ${this.logicalName} don't fit its capture objects`);
  }

  refusal(outcome: RefusedRows): ReadingError {
    const text = `the rows of ${this.logicalName} can't be read: ${describeRefusal(outcome)}`;
    return new ReadingError("refused", text);
  }

  #attribute(attributeId: number) {
    return { classId: PROFILE_GENERIC, instanceId: parseObis(this.logicalName), attributeId };
  }
}

export type RefusedRows = Exclude<ReadOutcome, { kind: "data" }>;

function rowsOf(buffer: Data, profile: KnownProfile): Data[][] | null {
  try {
    return profileRows(buffer, objectsOf(profile.columns), profile.capturePeriodSeconds || null);
  } catch (error) {
    if (error instanceof DataMismatch) return null;
    throw error;
  }
}

function objectsOf(columns: readonly KnownColumn[]): CaptureObjectDefinition[] {
  return columns.map(({ classId, code, attribute, dataIndex }) => ({
    classId,
    logicalName: parseObis(code),
    attributeIndex: attribute,
    dataIndex,
  }));
}
