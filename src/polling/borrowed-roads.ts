import type { DataLimits } from "../dlms/encoding/data-types.ts";
import type { BorrowedAssociations } from "../storage/borrowed-associations.ts";
import type { LentAssociations } from "../storage/lent-associations.ts";
import { Bell } from "./bell.ts";
import { BorrowedAssociation, brokenOff } from "./borrowed-association.ts";
import { type MeterAssociation, type MeterRoads, type OpenOptions, PollError } from "./meter-association.ts";

export interface BorrowedRoadsOptions {
  readonly borrowed: BorrowedAssociations;
  /** The same rows, for what no daemon lends: this process is the lender then, so that no daemon polls the meter meanwhile. */
  readonly own: LentAssociations;
  /** Our own way to meters that are called. */
  readonly roads: MeterRoads;
  readonly limits: DataLimits;
}

/** How often is looked where nobody has told of anything. */
const LOOK_MS = 500;
/** How long a daemon that lives has time to take what is asked for. */
const TAKE_MS = 3_000;
const RENEW_MS = 10_000;

/**
 * The roads of a command. A daemon that works on the same database opens the association where there is one: it may hold the connection that the
 * meter has opened, and it keeps order among all who want something of the meter, its line and its network. Where none lives, the command
 * calls the meter itself.
 */
export class BorrowedRoads implements MeterRoads {
  private readonly with: BorrowedRoadsOptions;
  private readonly bells = new Map<number, Bell>();

  constructor(options: BorrowedRoadsOptions) {
    this.with = options;
  }

  /** A lender has written something into this row; without an id, perhaps into any. */
  wake(id: number | null): void {
    if (id === null) for (const bell of this.bells.values()) bell.ring();
    else this.bells.get(id)?.ring();
  }

  async open(meterId: string, options: OpenOptions): Promise<MeterAssociation> {
    const { borrowed } = this.with;
    const { clientSap, keys = "ACTIVE", signal } = options;
    throwIfAborted(signal);
    const id = await borrowed.ask(meterId, clientSap, keys);
    const bell = new Bell();
    this.bells.set(id, bell);
    const ring = () => bell.ring();
    signal?.addEventListener("abort", ring, { once: true });
    const renewal = setInterval(() => void borrowed.renew(id).catch(() => undefined), RENEW_MS);
    const forget = () => {
      clearInterval(renewal);
      signal?.removeEventListener("abort", ring);
      this.bells.delete(id);
    };
    try {
      const found = await this.wait(id, meterId, bell, options);
      const { limits } = this.with;
      return found === null
        ? await this.openOwn(id, meterId, options, forget)
        : new BorrowedAssociation({
            id,
            meterId,
            clientSap,
            ...found,
            borrowed,
            bell,
            signal,
            limits,
            forget,
          });
    } catch (error) {
      forget();
      await borrowed.giveUp(id).catch(() => undefined);
      throw error;
    }
  }

  /** What a daemon has opened; null where the meter is ours to call. @throws PollError */
  private async wait(
    id: number,
    meterId: string,
    bell: Bell,
    { signal }: OpenOptions,
  ): Promise<{ readonly conformance: number; readonly meterSystemTitle: Buffer | null } | null> {
    const { borrowed } = this.with;
    const started = performance.now();
    for (;;) {
      const row = await borrowed.look(id);
      throwIfAborted(signal);
      if (row.state === "open") {
        const title = row.systemTitle === null ? null : Buffer.from(row.systemTitle, "hex");
        return { conformance: row.conformance, meterSystemTitle: title };
      }
      if (row.state === "failed") throw brokenOff(row.failure, row.reason);
      if (row.state === "gone") throw brokenOff("aborted", "");
      if (!row.taken) {
        const lives = await borrowed.lenderLives(meterId);
        const late = !lives.any || (!lives.connected && performance.now() - started > TAKE_MS);
        if (late && (await this.takeOwn(id))) return null;
      }
      await bell.heard(LOOK_MS);
    }
  }

  /** Whether the meter is ours to call; it isn't as long as others have it. @throws PollError where it can't be called */
  private async takeOwn(id: number): Promise<boolean> {
    let caller: string | null = null;
    const taken = await this.with.own.take(({ mode, meterNumber }) => {
      if (mode === "listen") caller = meterNumber;
      return mode === "dial";
    }, id);
    if (caller === null || !(await this.with.borrowed.withdraw(id))) return taken.length > 0;
    throw new PollError("unreachable", `meter ${caller} calls us, and it is not connected to any daemon now`);
  }

  private async openOwn(
    id: number,
    meterId: string,
    options: OpenOptions,
    forget: () => void,
  ): Promise<MeterAssociation> {
    const { own, roads } = this.with;
    const renewal = setInterval(() => void own.renew().catch(() => undefined), RENEW_MS);
    const letGo = async () => {
      clearInterval(renewal);
      forget();
      await own.ended(id).catch(() => undefined);
    };
    try {
      const association = await roads.open(meterId, options);
      return withRelease(association, letGo);
    } catch (error) {
      await letGo();
      throw error;
    }
  }
}

function withRelease(association: MeterAssociation, after: () => Promise<void>): MeterAssociation {
  let released: Promise<void> | null = null;
  return {
    meterId: association.meterId,
    clientSap: association.clientSap,
    conformance: association.conformance,
    meterSystemTitle: association.meterSystemTitle,
    read: (requests, options) => association.read(requests, options),
    write: (requests) => association.write(requests),
    invoke: (requests) => association.invoke(requests),
    release: () => {
      released ??= association.release().then(after);
      return released;
    },
  };
}

function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new PollError("aborted", "given up before the meter was reached");
}
