import { type EventRow, eventRows, type Incident } from "./incidents.ts";
import { between, mix } from "./random.ts";

const MS_PER_DAY = 86_400_000;

/** Whom incidents befall. */
export interface Victim {
  /** The meter's own. */
  readonly seed: number;
  /** Its number in the fleet: where in the row of incidents it begins. */
  readonly index: number;
  readonly phases: number;
  /** What may befall meters of its kind, by turns. */
  readonly incidents: readonly Incident[];
  /** On average; 0: none. */
  readonly perDay: number;
}

/** What is to befall one meter next: its kind by turns, its time by chance. */
export class IncidentPlan {
  readonly #victim: Victim;
  #planned = 0;
  /** Event rows to come, the soonest first. */
  #rows: EventRow[] = [];

  constructor(victim: Victim) {
    this.#victim = victim;
  }

  /** When the next row is due, epoch ms. */
  get dueMs(): number {
    return this.#rows[0]?.atMs ?? Number.POSITIVE_INFINITY;
  }

  take(): EventRow {
    return this.#rows.shift()!;
  }

  /** The next incident after `nowMs`. */
  add(nowMs: number): void {
    const { seed, index, phases, incidents, perDay } = this.#victim;
    if (perDay <= 0) return;
    const kinds = incidents.filter((incident) => incident.phases <= phases);
    const incident = kinds[(index + this.#planned) % kinds.length]!;
    const gap = (MS_PER_DAY / perDay) * between(mix(seed, 52), this.#planned, 0.5, 1.5);
    this.#planned++;
    // Full seconds, and never two rows of one meter in the same second.
    const at = Math.ceil((nowMs + gap) / 1_000) * 1_000 + 1_000;
    this.#rows.push(...eventRows(incident, at));
  }

  /** What is still to come of it does not. */
  drop(incident: Incident): void {
    this.#rows = this.#rows.filter((row) => row.incident !== incident);
  }

  /** What was to befall the meter before `nowMs` befalls it a little later. */
  putOff(nowMs: number): void {
    let free = Math.ceil(nowMs / 1_000) * 1_000 + 1_000;
    this.#rows = this.#rows.map((row) => {
      const atMs = Math.max(row.atMs, free);
      free = atMs + 1_000;
      return { ...row, atMs };
    });
  }
}
