import type {
  InvokeOutcome,
  InvokeRequest,
  ReadOutcome,
  ReadProgress,
  ReadRequest,
  WriteOutcome,
  WriteRequest,
} from "../dlms/association/requests.ts";

export type {
  InvokeOutcome,
  InvokeRequest,
  ReadOutcome,
  ReadProgress,
  ReadRequest,
  WriteOutcome,
  WriteRequest,
} from "../dlms/association/requests.ts";

/**
 * What polls, commands and the command line use of a meter that can be talked to. Who uses it knows nothing of dialling, links,
 * credentials and counters: `MeterRoads.open` hides them.
 */
export interface MeterRoads {
  /**
   * Opens an association with a meter: over the connection that it has opened itself, where it has, else by dialling. Waits while
   * another association with the same meter is open, or a limit of its host, network or line is reached.
   * `meterId` is the id of a row of `meters`.
   * @throws PollError
   */
  open(meterId: string, options: OpenOptions): Promise<MeterAssociation>;
}

export interface OpenOptions {
  /** Which association: 16 public, 32 meter reader, 48 utility setting … */
  readonly clientSap: number;
  /** What is asked for now goes before what is due, and that before what fills gaps. */
  readonly purpose: PollPurpose;
  /**
   * Which of the meter's keys protect it: `ACTIVE`, the default, or `NEW`, those of a rotation whose outcome isn't known yet; a kind that
   * has no NEW key takes its ACTIVE one. A rotation asks for one, then for the other: nothing else may be tried instead.
   */
  readonly keys?: "ACTIVE" | "NEW";
  /** Ends waiting and working; `open` and every call then throw PollError `aborted`. */
  readonly signal?: AbortSignal;
}

export type PollPurpose = "on-demand" | "command" | "scheduled" | "gap";

/** An association that stands. Requests are sent one after the other, in the order of the calls. */
export interface MeterAssociation {
  readonly meterId: string;
  readonly clientSap: number;
  /** Conformance bits as negotiated; see xdlms/initiate.ts for the names. */
  readonly conformance: number;
  /** 8 octets as the meter gave them in the association; null in contexts without ciphering. */
  readonly meterSystemTitle: Buffer | null;
  /**
   * One outcome a request, in order. How they go over the line – with-list, one by one, in blocks – follows from what was negotiated
   * and from what the meter's type is known to refuse.
   * @throws PollError where the association or the line breaks
   */
  read(requests: readonly ReadRequest[], options?: ReadOptions): Promise<ReadOutcome[]>;
  /** @throws PollError */
  write(requests: readonly WriteRequest[]): Promise<WriteOutcome[]>;
  /** Methods of objects, by ACTION. @throws PollError */
  invoke(requests: readonly InvokeRequest[]): Promise<InvokeOutcome[]>;
  /** Releases the association and lets the meter go, to whoever waits for it. Never throws; a second call does nothing. */
  release(): Promise<void>;
}

export interface ReadOptions {
  /** Told whenever a part of a long answer has come. */
  readonly onProgress?: (progress: ReadProgress) => void;
}

/** Why a poll came to nothing, or ended in the middle. */
export type PollFailure =
  /** There is no such meter, or nothing says how to reach it, or it has no such association. */
  | "not-configured"
  /** A key or secret that the association needs is missing or can't be opened. */
  | "key-missing"
  /** It doesn't answer the call, or is not connected. */
  | "unreachable"
  /** It stopped answering. */
  | "timeout"
  /** The connection broke. */
  | "connection-lost"
  /** It refused the association, its mechanism or our credentials. */
  | "association-refused"
  /** Its answer to our challenge is wrong: it may not be the meter. */
  | "hls-failed"
  /** It sent what breaks the protocol, or less protection than agreed. */
  | "protocol"
  /** A counter is used up, or the meter's counter could not be read. */
  | "counter"
  /** An answer is longer than a limit allows. */
  | "limit"
  /** The caller's signal. */
  | "aborted";

/** A sentence for people, and a word for programs. */
export class PollError extends Error {
  readonly failure: PollFailure;
  /** Only one exchange has failed: others may follow in the same association. */
  readonly associationStands: boolean;

  constructor(failure: PollFailure, text: string, options: PollErrorOptions = {}) {
    super(text, options);
    this.name = "PollError";
    this.failure = failure;
    this.associationStands = options.associationStands ?? false;
  }

  /** Whether the same may work a little later without anybody's doing. */
  get temporary(): boolean {
    return this.failure === "unreachable" || this.failure === "timeout" || this.failure === "connection-lost";
  }
}

export interface PollErrorOptions extends ErrorOptions {
  readonly associationStands?: boolean;
}
