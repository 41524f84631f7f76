/**
 * A connection that a meter has opened, lent to a poll: its octets go to the poll until it is given back. What the meter pushes meanwhile
 * is handed back by `deliver` and goes the way of every push.
 */
export interface LentLine {
  readonly framing: "hdlc" | "wrapper";
  /** Address of the meter. */
  readonly peer: string;
  write(octets: Buffer): void;
  onData(listener: (octets: Buffer) => void): void;
  onClose(listener: (error: Error | null) => void): void;
  /** An APDU of the meter, out of its framing: `source` is its logical device, `destination` the client that it pushes to. */
  deliver(apdu: Buffer, source: number, destination: number): void;
  /** Gives the connection back; it stays open. `rest`: octets of a frame that has begun, which goes on in what comes next. */
  close(rest: Buffer): void;
}
