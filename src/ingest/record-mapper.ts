import { boundedCache } from "../bounded-cache.ts";
import type { LogEntry } from "../durable-log/durable-log.ts";
import type { Acceptance } from "./accepted.ts";
import { readAcceptedRecord } from "./accepted-record.ts";
import type { Log } from "./dependencies.ts";
import type { MappedPush, PushReceiver } from "./receive-push.ts";
import { run, StoppedError } from "./steps.ts";

/** Meters whose epochs are remembered. */
const EPOCHS_MAX = 100_000;

export interface RecordMapperParts {
  readonly receiver: PushReceiver;
  readonly log: Log;
  /** Whether other daemons read from the durable log too. */
  readonly isShared: boolean;
}

/** Makes of records of the durable log what is stored. */
export class RecordMapper {
  private readonly parts: RecordMapperParts;
  /** Of a shared log: since when this daemon reads what a meter sends. */
  private readonly epochs = boundedCache<number>(EPOCHS_MAX);

  constructor(parts: RecordMapperParts) {
    this.parts = parts;
  }

  /** null for a record that this version can't read: it stays in the log. */
  read({ payload }: LogEntry): Acceptance | null {
    try {
      return readAcceptedRecord(payload);
    } catch (error) {
      const text = "a record of the durable log can't be read by this version; it stays there";
      this.parts.log.error({ err: error }, text);
      return null;
    }
  }

  /** Whatever goes wrong but a stop, the push is kept aside. Rejects with StoppedError. */
  async map(acceptance: Acceptance, { again, epoch }: LogEntry): Promise<MappedPush> {
    const { receiver, log } = this.parts;
    this.forgetOldWords(acceptance.meterId, epoch);
    try {
      return await new Promise((resolve, reject) =>
        run(() => receiver.reopen(acceptance, again), resolve, reject),
      );
    } catch (error) {
      if (error instanceof StoppedError) throw error;
      log.error({ err: error }, "an accepted push could not be mapped; it goes to quarantine");
      return receiver.setAside(acceptance, (error as Error).message, again);
    }
  }

  /** Another daemon has read what the meter sent meanwhile: the database knows its status words better. */
  private forgetOldWords(meterId: string, epoch: number): void {
    if (!this.parts.isShared || this.epochs.get(meterId) === epoch) return;
    this.epochs.set(meterId, epoch);
    this.parts.receiver.statusWords.forget(meterId);
  }
}
