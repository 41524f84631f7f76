import type { ClaimedPoll } from "../storage/poll-tasks.ts";
import type { MeterAssociation, MeterRoads } from "./meter-association.ts";

/** Polls of one meter that are due together share its association: to open one costs more than to read a profile. */
export class MeterVisit {
  private readonly roads: MeterRoads;
  private readonly signal: AbortSignal;
  private association: MeterAssociation | null = null;

  constructor(roads: MeterRoads, signal: AbortSignal) {
    this.roads = roads;
    this.signal = signal;
  }

  /** Whether both may share one: the same meter by the same client. */
  static fits(one: ClaimedPoll, other: ClaimedPoll): boolean {
    return one.meter.id === other.meter.id && one.clientSap === other.clientSap;
  }

  /** The association that stands, else a new one. @throws PollError */
  async enter({ meter, clientSap, purpose }: ClaimedPoll): Promise<MeterAssociation> {
    this.signal.throwIfAborted();
    const { signal } = this;
    this.association ??= await this.roads.open(meter.id, { clientSap, purpose, signal });
    return this.association;
  }

  /** After the last poll, and after one that failed: nobody knows what still stands. */
  async leave(): Promise<void> {
    const { association } = this;
    this.association = null;
    await association?.release();
  }
}
