/**
 * How a meter's pushes are meant to be, as the tables `push_setups`, `push_objects`, `push_schedules` and `schedule_entries` say it for
 * that meter. Null: nothing is configured, and what the meter has is left alone.
 */
export interface PushConfiguration {
  readonly setups: readonly ConfiguredPushSetup[];
  readonly schedules: readonly ConfiguredActionSchedule[];
}

/** A push setup object (class 40). Setups without a destination only explain what meters push: they are not among these. */
export interface ConfiguredPushSetup {
  /** Of the row of `push_setups` that is meant most closely for the meter. */
  readonly id: number;
  readonly name: string;
  readonly logicalName: string;
  readonly standard: string | null;
  /** "tcp"; see the class. */
  readonly transportService: string | null;
  readonly destination: string;
  /** "a-xdr", "xml" */
  readonly messageType: string | null;
  /** Texts as time-pattern.ts has them. */
  readonly communicationWindows: readonly { readonly start: string; readonly end: string }[] | null;
  readonly randomisationStartIntervalSeconds: number | null;
  readonly numberOfRetries: number | null;
  readonly repetitionDelaySeconds: number | null;
  /** The lists that it may carry; written is the only one. */
  readonly lists: readonly ConfiguredList[];
}

export interface ConfiguredList {
  readonly name: string;
  readonly entries: readonly ConfiguredEntry[];
}

export interface ConfiguredEntry {
  readonly classId: number;
  readonly logicalName: string;
  readonly attribute: number;
  readonly dataIndex: number;
  /** A-XDR octets of the restriction element. */
  readonly restriction: Buffer | null;
}

/** A single action schedule (class 22) that has the meter push by itself. */
export interface ConfiguredActionSchedule {
  readonly name: string;
  readonly logicalName: string;
  /** The push setup that it triggers, by its logical name. */
  readonly pushSetup: string;
  /** Texts as time-pattern.ts has them. */
  readonly executionTimes: readonly string[];
}

/** What stands in the tables can't be written to a meter; the message says what and where. */
export class PushConfigurationError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "PushConfigurationError";
  }
}
