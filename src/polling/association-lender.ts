import type { DataLimits } from "../dlms/encoding/data-types.ts";
import { stopController } from "../stop.ts";
import type { AskedAssociation, LentAssociations } from "../storage/lent-associations.ts";
import { Bell } from "./bell.ts";
import { answerToJson, type LentAnswer, requestFromJson } from "./lent-messages.ts";
import { type MeterAssociation, type MeterRoads, PollError, type ReadProgress } from "./meter-association.ts";

export interface LenderOptions {
  readonly lent: LentAssociations;
  readonly roads: MeterRoads;
  /** Whether the connection that the meter has opened ends here. */
  readonly isConnected: (meterId: string) => boolean;
  readonly limits: DataLimits;
  /** Told of what keeps it from working: mostly the database. */
  readonly onError: (error: unknown) => void;
}

/** How often is looked where nobody has told of anything: a notification may be lost with its connection. */
const LOOK_MS = 1_000;
/** Time between two words about how far a long answer is. */
const PROGRESS_MS = 1_000;

/**
 * Opens associations that commands have asked for in the database: with meters whose connection ends at this daemon, and with those that are called.
 * They wait their turn as polls do, before them.
 */
export class AssociationLender {
  private readonly with: LenderOptions;
  private readonly stopping = stopController();
  private readonly bells = new Map<number, Bell>();
  private readonly running = new Set<Promise<void>>();
  private taking: Promise<void> | null = null;
  private takeAgain = false;
  private timer: NodeJS.Timeout | null = null;

  constructor(options: LenderOptions) {
    this.with = options;
  }

  /** A command has written something into this row, or, without an id, perhaps into any. */
  wake(id: number | null): void {
    if (id === null) for (const bell of this.bells.values()) bell.ring();
    else this.bells.get(id)?.ring();
    if (id === null || !this.bells.has(id)) this.look();
  }

  /** Keeps what is lent. To be called at every tick. */
  async tick(): Promise<void> {
    await this.with.lent.renew();
    this.look();
  }

  /** Ends what is lent; the commands are told. */
  async stop(): Promise<void> {
    this.stopping.abort();
    if (this.timer !== null) clearTimeout(this.timer);
    for (const bell of this.bells.values()) bell.ring();
    await this.taking;
    await Promise.all(this.running);
  }

  private look(): void {
    if (this.stopping.signal.aborted) return;
    if (this.taking !== null) {
      this.takeAgain = true;
      return;
    }
    this.taking = this.take()
      .catch(this.with.onError)
      .finally(() => {
        this.taking = null;
        const again = this.takeAgain;
        this.takeAgain = false;
        if (again) this.look();
      });
  }

  private async take(): Promise<void> {
    const { lent, isConnected } = this.with;
    const taken = await lent.take(({ id, mode }) => mode === "dial" || isConnected(id));
    for (const asked of taken) this.begin(asked);
    if (this.timer === null && !this.stopping.signal.aborted && (await lent.waiting())) {
      this.timer = setTimeout(() => {
        this.timer = null;
        this.look();
      }, LOOK_MS);
      this.timer.unref();
    }
  }

  private begin(asked: AskedAssociation): void {
    const bell = new Bell();
    this.bells.set(asked.id, bell);
    const work = this.lend(asked, bell)
      .catch(this.with.onError)
      .finally(() => {
        this.bells.delete(asked.id);
        this.running.delete(work);
      });
    this.running.add(work);
  }

  private async lend(asked: AskedAssociation, bell: Bell): Promise<void> {
    const { lent, roads } = this.with;
    const given = new AbortController();
    const signal = AbortSignal.any([given.signal, this.stopping.signal]);
    const { clientSap, keys } = asked;
    const opening = roads.open(asked.meterId, { clientSap, keys, purpose: "on-demand", signal });
    const association = await this.unlessGone(asked, bell, given, opening);
    if (association instanceof PollError) {
      return lent.failed(asked.id, association.failure, association.message);
    }
    try {
      const title = association.meterSystemTitle?.toString("hex") ?? null;
      if (await lent.opened(asked.id, association.conformance, title)) {
        await this.serve(asked, bell, given, association);
      }
    } finally {
      await association.release();
      await lent.ended(asked.id);
    }
  }

  /** Until the command needs it no longer, or is gone. */
  private async serve(
    asked: AskedAssociation,
    bell: Bell,
    given: AbortController,
    association: MeterAssociation,
  ): Promise<void> {
    while (!this.stopping.signal.aborted) {
      const next = await this.with.lent.next(asked.id);
      if (next.kind === "gone" || next.kind === "done") return;
      if (next.kind === "nothing") await bell.heard(LOOK_MS);
      else {
        const asking = this.ask(asked.id, next.position, next.request, association);
        const answer = await this.unlessGone(asked, bell, given, asking);
        if (answer instanceof PollError) return;
        await this.with.lent.answer(asked.id, next.position, answerToJson(answer));
      }
    }
  }

  private async ask(
    id: number,
    position: number,
    json: unknown,
    association: MeterAssociation,
  ): Promise<LentAnswer> {
    const wanted = requestFromJson(json, this.with.limits);
    try {
      if (wanted.service === "write") {
        return { kind: "outcomes", outcomes: await association.write(wanted.requests) };
      }
      if (wanted.service === "invoke") {
        return { kind: "outcomes", outcomes: await association.invoke(wanted.requests) };
      }
      const onProgress = this.progressOf(id, position);
      return { kind: "outcomes", outcomes: await association.read(wanted.requests, { onProgress }) };
    } catch (error) {
      if (!(error instanceof PollError)) throw error;
      return { kind: "failed", failure: error.failure, text: error.message };
    }
  }

  private progressOf(id: number, position: number): (progress: ReadProgress) => void {
    let next = performance.now() + PROGRESS_MS;
    return (progress) => {
      if (performance.now() < next) return;
      next = performance.now() + PROGRESS_MS;
      this.with.lent.progress(id, position, progress).catch(this.with.onError);
    };
  }

  /** What `work` comes to; broken off where the command has given up meanwhile. A PollError is an answer as well. */
  private async unlessGone<T>(
    { id }: AskedAssociation,
    bell: Bell,
    given: AbortController,
    work: Promise<T>,
  ): Promise<T | PollError> {
    let ended = false;
    const outcome = work
      .catch((error: unknown) => {
        if (error instanceof PollError) return error;
        throw error;
      })
      .finally(() => {
        ended = true;
        bell.ring();
      });
    while (!ended) {
      await bell.heard(LOOK_MS);
      if (!ended && (await this.isGone(id))) given.abort();
    }
    return outcome;
  }

  /** Where the database can't say, it is not. */
  private isGone(id: number): Promise<boolean> {
    return this.with.lent.next(id).then(
      ({ kind }) => kind === "gone",
      () => false,
    );
  }
}
