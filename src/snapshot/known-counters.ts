import type { FrameDigest } from "../dlms/security/invocation-counter.ts";
import { type CounterName, counterName } from "../storage/counter-name.ts";
import type { CounterStore, StoredCounter } from "../storage/ingest-stores.ts";
import { StorageError } from "../storage/storage-error.ts";
import { isMissing, readLines, replaceLines } from "./line-file.ts";

/** One frame's counter. */
export interface CounterMark {
  readonly name: CounterName;
  readonly counter: number;
  /** Of the frame that moved it there; null where only the counter is known. */
  readonly digest: FrameDigest | null;
}

type Mark = { -readonly [K in keyof CounterMark]: CounterMark[K] };

const FORMAT = { file: "received counters", version: 1 };

/**
 * The highest received counters as this daemon and the database know them: a mark that only goes up, in memory and in a file, so that no
 * counter that was seen is ever taken for new, be the database away or older than it was.
 */
export class KnownCounters {
  private readonly path: string;
  private readonly marks = new Map<string, Mark>();
  private changed = false;
  private complete = false;

  constructor(path: string) {
    this.path = path;
  }

  /** Whether what isn't here was never seen: else nobody may be answered from here. */
  get isComplete(): boolean {
    return this.complete;
  }

  /** Whether something was raised since it was written. */
  get isChanged(): boolean {
    return this.changed;
  }

  raise({ name, counter, digest }: CounterMark): void {
    const known = this.marks.get(name.text);
    if (known === undefined) this.marks.set(name.text, { name, counter, digest });
    else if (counter > known.counter || (counter === known.counter && digest !== null)) {
      known.counter = counter;
      known.digest = digest;
    } else return;
    this.changed = true;
  }

  of({ text }: CounterName): StoredCounter {
    const mark = this.marks.get(text);
    if (mark === undefined) return { high: null, digests: [] };
    const { counter, digest } = mark;
    return { high: counter, digests: digest === null ? [] : [{ counter, digest }] };
  }

  /** Everything that the database knows was raised here, or a file of such a time was read. */
  completed(): void {
    this.complete = true;
  }

  /** Marks of keys that the database has no longer are dropped: the key is gone, and its number may come again. */
  keepOnly(isKey: (keyId: number) => boolean): void {
    for (const [text, { name }] of this.marks) if (!isKey(name.keyId)) this.marks.delete(text);
  }

  /** What an earlier run wrote; nothing where there is no such file, or of another version. */
  async read(): Promise<void> {
    let isFirst = true;
    try {
      for await (const { value } of readLines(this.path)) {
        if (isFirst && JSON.stringify(value) !== JSON.stringify(FORMAT)) return;
        if (!isFirst) this.raise(markOf(value as MarkLine));
        isFirst = false;
      }
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
    this.complete = !isFirst;
    this.changed = false;
  }

  async write(): Promise<void> {
    this.changed = false;
    try {
      // All at one time: what is raised meanwhile belongs into the next file.
      await replaceLines(this.path, [FORMAT, ...[...this.marks.values()].map(lineOfMark)]);
    } catch (error) {
      this.changed = true;
      throw error;
    }
  }
}

/** Key, system title, client SAP, counter, digest. */
type MarkLine = readonly [number, string, number, number, string | null];

function lineOfMark({ name: { keyId, systemTitle, clientSap }, counter, digest }: Mark): MarkLine {
  const text = digest === null ? null : Buffer.from(digest, "latin1").toString("base64");
  return [keyId, systemTitle, clientSap, counter, text];
}

function markOf([keyId, systemTitle, clientSap, counter, digest]: MarkLine): CounterMark {
  return {
    name: counterName(keyId, systemTitle, clientSap),
    counter,
    digest: digest === null ? null : Buffer.from(digest, "base64").toString("latin1"),
  };
}

/** The database's counters, never below what is known; what is known alone while the database is away. */
export function withKnownCounters(store: CounterStore, known: KnownCounters): CounterStore {
  return {
    loadCounter: async (keyId, systemTitle, clientSap) => {
      const mark = known.of(counterName(keyId, systemTitle, clientSap));
      try {
        const stored = await store.loadCounter(keyId, systemTitle, clientSap);
        return mark.high === null || (stored.high ?? -1) >= mark.high
          ? stored
          : { high: mark.high, digests: [...stored.digests, ...mark.digests] };
      } catch (error) {
        const isAway = error instanceof StorageError && error.retryable;
        if (!isAway || !known.isComplete) throw error;
        return { ...mark, isProvisional: true };
      }
    },
  };
}
