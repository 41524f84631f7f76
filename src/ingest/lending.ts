import type { LineFraming } from "../line-framing.ts";
import type { ByteConnection } from "../transports/connection.ts";
import { framedPush, LentFrames } from "./lent-frames.ts";
import type { LentLine } from "./lent-line.ts";

/** A connection that is lent to one poll at a time, or to none. */
export class Lending {
  private readonly connection: ByteConnection;
  /** Takes what is no poll's. */
  private readonly toPushes: (octets: Buffer) => void;
  /** Through a bridge that changes octets no poll would find its frames. */
  private readonly isPossible: boolean;
  /** What tells the frames of the poll that has it. */
  private frames: LentFrames | null = null;

  constructor(connection: ByteConnection, framing: LineFraming, toPushes: (octets: Buffer) => void) {
    this.connection = connection;
    this.toPushes = toPushes;
    this.isPossible = framing === "auto" || framing === "hdlc" || framing === "wrapper";
  }

  /**
   * Lends it to a poll of this client, while nobody else has it and `isBetweenFrames`. "busy": not in this moment; null: never, for it is
   * closed, or nothing is spoken on it that a meter could be asked in.
   */
  lend(framing: string, isBetweenFrames: boolean, clientSap: number): LentLine | "busy" | null {
    if (this.connection.closed || !this.isPossible) return null;
    if (this.frames !== null || !isBetweenFrames || framing === "undecided") return "busy";
    return framing === "hdlc" || framing === "wrapper" ? this.line(framing, clientSap) : null;
  }

  /** Octets that have come over the connection. */
  read(chunk: Buffer): void {
    if (this.frames === null) this.toPushes(chunk);
    else this.frames.read(chunk);
  }

  /** The poll, if any, gets nothing more. */
  end(): void {
    const { frames } = this;
    this.frames = null;
    frames?.end();
  }

  private line(framing: "hdlc" | "wrapper", clientSap: number): LentLine {
    const { connection, toPushes } = this;
    let toPoll: (octets: Buffer) => void = () => undefined;
    const frames = new LentFrames({ framing, clientSap, toPoll: (octets) => toPoll(octets), toPushes });
    this.frames = frames;
    return {
      framing,
      peer: connection.remoteAddress,
      write: (octets) => {
        if (this.frames === frames) connection.write(octets);
      },
      onData: (listener) => {
        toPoll = listener;
      },
      onClose: (listener) => connection.onClose(listener),
      deliver: (apdu, source, destination) => toPushes(framedPush(framing, apdu, source, destination)),
      close: () => {
        if (this.frames === frames) this.end();
      },
    };
  }
}
