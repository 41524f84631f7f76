/** A connection, as those see it that come after it. */
export interface Predecessor {
  /** Whether something was read, or may stand in its socket, that is not taken in. */
  isBehind(): boolean;
  /** The connection that it waits for itself. */
  readonly follows: Predecessor | null;
  /** Reads and takes in what is there, however much is on its way; calls when it has. */
  catchUp(done: () => void): void;
}

/** Originators noted per connection: a bound for who invents titles. Concentrators with more meters keep their connection. */
const TITLES_MAX = 256;

/**
 * On which connection each originator was heard last. A meter that hangs up and calls again at once has sent what stands in the old
 * connection before what comes over the new one, whichever of the two happens to be read, or to get through a look-up, first.
 */
export class LastConnections {
  private readonly byTitle = new Map<string, Predecessor>();
  private readonly titlesOf = new Map<Predecessor, Set<string>>();

  /**
   * Notes that this originator is heard on `connection`; gives back the connection that has to go first, null where none has. Nobody has looked
   * yet whether the frame is forged.
   */
  heard(systemTitle: string, connection: Predecessor): Predecessor | null {
    const last = this.byTitle.get(systemTitle);
    if (last === connection) return null;
    const titles = this.titlesOf.get(connection) ?? new Set();
    if (titles.size < TITLES_MAX) {
      this.titlesOf.set(connection, titles.add(systemTitle));
      this.byTitle.set(systemTitle, connection);
    }
    return last?.isBehind() === true && !waitsFor(last, connection) ? last : null;
  }

  /** The connection is closed, and all of it is taken in. */
  forget(connection: Predecessor): void {
    for (const systemTitle of this.titlesOf.get(connection) ?? []) {
      if (this.byTitle.get(systemTitle) === connection) this.byTitle.delete(systemTitle);
    }
    this.titlesOf.delete(connection);
  }
}

/** Two concentrators' connections could wait for each other: then neither does. */
function waitsFor(connection: Predecessor, other: Predecessor): boolean {
  for (let next: Predecessor | null = connection; next !== null; next = next.follows) {
    if (next === other) return true;
  }
  return false;
}
