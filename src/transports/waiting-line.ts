/** How long callers may be kept waiting for those who still come, ms, and how many. */
export interface LineLimits {
  readonly ms: number;
  readonly callers: number;
}

export const LINE_LIMITS: LineLimits = { ms: 50, callers: 1_000 };

/**
 * Lets callers in together. Node accepts one connection each time its event loop goes round, and a round takes as long as all that the others have sent
 * takes to be worked off: of thousands that call at once, after a power cut or a restart, the last were accepted when the first had sent everything, and
 * had hung up by then. So nothing of those who were accepted is read while a round brings one more.
 */
export class WaitingLine<Caller> {
  private readonly letIn: (caller: Caller) => void;
  private readonly limits: LineLimits;
  private readonly now: () => number;
  private callers: Caller[] = [];
  private since = 0;
  private hasGrown = false;

  constructor(
    letIn: (caller: Caller) => void,
    limits: LineLimits = LINE_LIMITS,
    now: () => number = () => performance.now(),
  ) {
    this.letIn = letIn;
    this.limits = limits;
    this.now = now;
  }

  /** In the turn of the event loop in which it was accepted. */
  add(caller: Caller): void {
    this.hasGrown = true;
    if (this.callers.push(caller) > 1) return;
    this.since = this.now();
    setImmediate(() => this.look());
  }

  /** Lets in whoever waits. */
  end(): void {
    for (const caller of this.callers.splice(0)) this.letIn(caller);
  }

  /** Once a round, behind what was accepted in it. */
  private look(): void {
    const { ms, callers } = this.limits;
    const mayGrow = this.callers.length < callers && this.now() - this.since < ms;
    if (!this.hasGrown || !mayGrow) {
      this.end();
      return;
    }
    this.hasGrown = false;
    setImmediate(() => this.look());
  }
}
