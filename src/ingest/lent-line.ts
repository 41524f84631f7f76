/**
 * A connection that a meter has opened, lent to a poll until it is given back: frames for the poll's client go to the poll, and all else that
 * comes goes the way of every push.
 */
export interface LentLine {
  readonly framing: "hdlc" | "wrapper";
  /** Address of the meter. */
  readonly peer: string;
  write(octets: Buffer): void;
  onData(listener: (octets: Buffer) => void): void;
  onClose(listener: (error: Error | null) => void): void;
  /**
   * A push that has come in a frame for the poll's client, out of that frame: `source` is the meter's logical device, `destination` the client
   * that it pushes to.
   */
  deliver(apdu: Buffer, source: number, destination: number): void;
  /** Gives the connection back; it stays open. */
  close(): void;
}
