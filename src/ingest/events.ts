import { boundedCache } from "../bounded-cache.ts";
import { meterEventRow } from "../mapping/capture-row.ts";
import type { MappingConfiguration } from "../mapping/configuration.ts";
import type { PushOrigin, StatusWord } from "../mapping/push-origin.ts";
import type { Row } from "../mapping/rows.ts";
import type { StatusWordStore } from "../storage/ingest-stores.ts";
import type { MeterRecord } from "../storage/meter-record.ts";
import { lookUp, type Patience, type Steps } from "./steps.ts";

/** `meter_events.log` of the bits of status words; the code is the bit's number, 0 first on the wire. */
const STATUS_LOG = "status-word";
/** Of alarm registers 1 and on, whose bits may come and go together. */
const ALARM_REGISTER = /^0\.0\.97\.98\.(\d)\.255$/;
/** Meters whose last words are remembered. */
const METERS_MAX = 100_000;

interface LastWord {
  readonly bits: string;
  /** −∞ for the word that was read from the database. */
  readonly timeMs: number;
}

/** Of one meter, by the id of the word's code. */
type LastWords = Map<number | null, LastWord>;

/** Bits of event status words that come and go: each change is an event, however often the word itself is sent. */
export class StatusWords {
  private readonly store: StatusWordStore;
  private readonly last = boundedCache<LastWords>(METERS_MAX);

  constructor(store: StatusWordStore) {
    this.store = store;
  }

  /** Whether `load` would wait for nothing. */
  knows(meterId: string, codeIds: readonly (number | null)[]): boolean {
    if (codeIds.length === 0) return true;
    const words = this.last.get(meterId);
    return words !== undefined && codeIds.every((codeId) => words.has(codeId));
  }

  /** Makes sure that the last word is known before a new one is compared with it. */
  *load(meterId: string, codeIds: readonly number[], patience: Patience): Steps<void> {
    for (const codeId of codeIds) {
      if (this.knows(meterId, [codeId])) continue;
      const bits = yield* lookUp(() => this.store.lastStatusWord(meterId, codeId), patience);
      // Another connection may have asked at the same time; a later word may have come over it.
      if (this.knows(meterId, [codeId])) continue;
      this.wordsOf(meterId).set(codeId, { bits: bits ?? "", timeMs: Number.NEGATIVE_INFINITY });
    }
  }

  private wordsOf(meterId: string): LastWords {
    const known = this.last.get(meterId);
    if (known !== undefined) return known;
    const words: LastWords = new Map();
    this.last.set(meterId, words);
    return words;
  }

  /** Rows for the bits that changed since the last word; all that are set where there was none. */
  changes(word: StatusWord, meter: MeterRecord, configuration: MappingConfiguration, how: PushOrigin): Row[] {
    const words = this.wordsOf(meter.id);
    const before = words.get(word.codeId);
    // A word that was overtaken by a later one says nothing about now.
    if (before !== undefined && word.timeMs < before.timeMs) return [];
    words.set(word.codeId, { bits: word.bits, timeMs: word.timeMs });
    const rows: Row[] = [];
    const register = ALARM_REGISTER.exec(word.code)?.[1];
    const log = register === undefined ? STATUS_LOG : `alarm-register-${Number(register) + 1}`;
    for (let bit = 0; bit < word.bits.length; bit++) {
      const active = word.bits[bit] === "1";
      if (active === (before?.bits[bit] === "1")) continue;
      const known = configuration.statusBit(meter.category, word.code, bit);
      const event = {
        log,
        code: bit,
        sequence: 0,
        name: known?.name ?? `bit ${bit} of ${word.code}`,
        severity: active ? (known?.severity ?? "info") : "info",
        active,
        clears: active ? null : bit,
        context: null,
      };
      rows.push(meterEventRow(event, how, word.timeMs));
    }
    return rows;
  }

  /** A word that could not be stored was not the last one. */
  forget(meterId: string): void {
    this.last.delete(meterId);
  }
}
