import type { Clock } from "../clock.ts";
import { systemTitleOf } from "./arrival-order.ts";
import type { LastConnections, Predecessor } from "./last-connections.ts";

/** As much of a session as those need that come after it. */
export interface Followed {
  readonly isClosed: boolean;
  /** It does not read, or has read what is not taken in. */
  readonly isBehind: boolean;
  /** Reads again, or stops, as the state of things asks for. */
  regulate(): void;
  /** Takes in what was read, however much is on its way to the database. */
  takeIn(): void;
  /** Calls when nothing is left of what has been read until now. */
  takenIn(call: () => void): void;
}

/** A session's place among the connections over which the same originators were heard. */
export class InTurn implements Predecessor {
  follows: Predecessor | null = null;
  private readonly session: Followed;
  private readonly around: { readonly lastConnections: LastConnections; readonly clock: Clock };
  /** How many wait for what stands in its socket. */
  private hurried = 0;

  constructor(session: Followed, around: InTurn["around"]) {
    this.session = session;
    this.around = around;
  }

  /** Whether its socket is read although there is no room. */
  get isHurried(): boolean {
    return this.hurried > 0;
  }

  isBehind(): boolean {
    return this.session.isBehind;
  }

  /** Calls at once, or when the connection on which the APDU's originator was heard before has been taken in. */
  afterPredecessor(apdu: Buffer, begin: () => void): void {
    const systemTitle = systemTitleOf(apdu);
    this.follows = systemTitle === null ? null : this.around.lastConnections.heard(systemTitle, this);
    if (this.follows === null) {
      begin();
      return;
    }
    this.follows.catchUp(() => {
      this.follows = null;
      begin();
    });
  }

  catchUp(done: () => void): void {
    const { session } = this;
    const takeIn = () => {
      session.takeIn();
      session.takenIn(done);
    };
    if (session.isClosed) {
      takeIn();
      return;
    }
    this.hurried++;
    session.regulate();
    // Between the first and the second lies a look at all sockets: what stands in its own is read then.
    const { clock } = this.around;
    clock.soon(() =>
      clock.soon(() => {
        this.hurried--;
        takeIn();
      }),
    );
  }

  /** The connection is closed, and all of it is taken in. */
  end(): void {
    this.around.lastConnections.forget(this);
  }
}
