import type { Exchange, ServiceMeans } from "../dlms/association/client-exchange.ts";
import { invoke } from "../dlms/association/client-invoke.ts";
import { read } from "../dlms/association/client-read.ts";
import { type ClientSession, LinkLostError, type SessionEvent } from "../dlms/association/client-session.ts";
import { write } from "../dlms/association/client-write.ts";
import { LocalProtocolError, PeerProtocolError, SilenceError } from "../dlms/association/errors.ts";
import type {
  InvokeOutcome,
  InvokeRequest,
  ReadOutcome,
  ReadProgress,
  ReadRequest,
  WriteOutcome,
  WriteRequest,
} from "../dlms/association/requests.ts";
import type { Refusal } from "../refusal.ts";
import { type MeterAssociation, PollError, type PollFailure, type ReadOptions } from "./meter-association.ts";

/** Octets to and from one meter: a connection of our own, or one that is lent. */
export interface Wire {
  write(octets: Buffer): void;
  onData(listener: (octets: Buffer) => void): void;
  onClose(listener: (error: Error | null) => void): void;
  /** Closes it, or gives it back. The promise, where there is one, is that others can have it from then on. */
  close(): void | Promise<void>;
}

export interface DriverParts {
  readonly meterId: string;
  readonly meterNumber: string;
  readonly clientSap: number;
  readonly wire: Wire;
  readonly session: ClientSession;
  /** More counters, durably reserved, are to be had behind this; false: the key is used up. */
  readonly reserve: () => Promise<boolean>;
  /** An APDU that came beside the conversation. */
  readonly onNotification: (apdu: Buffer, source: number, destination: number) => void;
  /** What the meter sent was refused, or it has refused us. */
  readonly onRefused: (refusal: Refusal) => void;
  /** Called once when the meter is let go. */
  readonly onEnd: () => Promise<void> | void;
  readonly signal: AbortSignal | undefined;
}

interface Pending {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** Time that release and closing of the link may take together, after which the wire is let go. */
const CLOSE_MS = 5_000;

/** The only place where timer, wire and association meet. */
export class AssociationDriver implements MeterAssociation {
  readonly meterId: string;
  readonly clientSap: number;
  conformance = 0;
  meterSystemTitle: Buffer | null = null;
  readonly #parts: DriverParts;
  #timer: NodeJS.Timeout | null = null;
  #pending: Pending | null = null;
  #tail: Promise<unknown> = Promise.resolve();
  #failure: PollError | null = null;
  #closing: Promise<void> | null = null;
  #closed: () => void = () => {};
  #ended = false;
  readonly #abort = () => this.#fail(new PollError("aborted", this.#about("given up")));

  private constructor(parts: DriverParts) {
    this.#parts = parts;
    this.meterId = parts.meterId;
    this.clientSap = parts.clientSap;
  }

  /** Opens link and association on a wire that stands. @throws PollError; the wire is closed then */
  static async open(parts: DriverParts): Promise<AssociationDriver> {
    const driver = new AssociationDriver(parts);
    const { wire, session, signal } = parts;
    wire.onData((octets) => driver.#receive(octets));
    wire.onClose((error) => driver.#wireClosed(error));
    if (signal?.aborted) driver.#abort();
    signal?.addEventListener("abort", driver.#abort, { once: true });
    try {
      await driver.#wait(() => session.open(performance.now()));
    } catch (error) {
      await driver.#finished;
      throw error;
    }
    return driver;
  }

  read(requests: readonly ReadRequest[], options: ReadOptions = {}): Promise<ReadOutcome[]> {
    return this.#exchange((means) => read(requests, means), options.onProgress);
  }

  write(requests: readonly WriteRequest[]): Promise<WriteOutcome[]> {
    return this.#exchange((means) => write(requests, means));
  }

  invoke(requests: readonly InvokeRequest[]): Promise<InvokeOutcome[]> {
    return this.#exchange((means) => invoke(requests, means));
  }

  release(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  #exchange<T>(
    service: (means: ServiceMeans) => Exchange<T>,
    onProgress?: (progress: ReadProgress) => void,
  ): Promise<T> {
    const run = () =>
      this.#wait(() => this.#parts.session.run(service, performance.now(), onProgress)) as Promise<T>;
    const result = this.#tail.then(run, run);
    this.#tail = result.catch(() => undefined);
    return result;
  }

  /** Begins something and waits for its end. */
  #wait(begin: () => void): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== null) return reject(this.#failure);
      if (this.#closing !== null) return reject(new PollError("connection-lost", this.#about("released")));
      this.#pending = { resolve, reject };
      this.#guarded(begin);
    });
  }

  /** A mistake of ours ends the poll, not the process. */
  #guarded(work: () => void): void {
    try {
      work();
      this.#pump();
    } catch (error) {
      this.#fail(this.#pollError(error as Error));
    }
  }

  #receive(octets: Buffer): void {
    if (!this.#ended) this.#guarded(() => this.#parts.session.receive(octets, performance.now()));
  }

  #pump(): void {
    const { session, wire } = this.#parts;
    for (let octets = session.takeOutput(); octets !== null; octets = session.takeOutput())
      wire.write(octets);
    for (let event = session.takeEvent(); event !== null; event = session.takeEvent()) this.#take(event);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    const deadline = this.#ended ? null : this.#parts.session.deadline();
    if (deadline === null) return;
    this.#timer = setTimeout(
      () => this.#guarded(() => this.#parts.session.handleTimeout(performance.now())),
      Math.max(0, Math.ceil(deadline - performance.now())),
    );
  }

  #take(event: SessionEvent): void {
    switch (event.kind) {
      case "associated":
        this.conformance = event.conformance;
        this.meterSystemTitle = event.meterTitle;
        this.#settle()?.resolve(undefined);
        return;
      case "done":
        this.#settle()?.resolve(event.value);
        return;
      case "exchange-failed":
        this.#noteRefusal(event.error);
        this.#settle()?.reject(this.#pollError(event.error, true));
        return;
      case "failed":
        this.#noteRefusal(event.error);
        this.#fail(this.#pollError(event.error));
        return;
      case "counter-wanted":
        void this.#reserve();
        return;
      case "notification":
        this.#parts.onNotification(event.apdu, event.source, event.destination);
        return;
      case "closed":
        this.#closed();
        return;
      default:
    }
  }

  #noteRefusal(error: Error): void {
    if (error instanceof PeerProtocolError) {
      this.#parts.onRefused({ reason: error.reason, text: this.#about(error.message) });
    }
  }

  async #reserve(): Promise<void> {
    try {
      if (await this.#parts.reserve()) this.#guarded(() => this.#parts.session.resume(performance.now()));
      else this.#fail(new PollError("counter", this.#about("the invocation counter of its key is used up")));
    } catch (error) {
      this.#fail(new PollError("counter", this.#about((error as Error).message), { cause: error }));
    }
  }

  #settle(): Pending | null {
    const pending = this.#pending;
    this.#pending = null;
    return pending;
  }

  #wireClosed(error: Error | null): void {
    this.#closed();
    const text = error === null ? "the connection was closed" : error.message;
    this.#fail(new PollError("connection-lost", this.#about(text), error === null ? {} : { cause: error }));
  }

  #fail(error: PollError): void {
    if (this.#ended) return;
    this.#failure = error;
    this.#settle()?.reject(error);
    this.#end();
  }

  async #close(): Promise<void> {
    await this.#tail;
    if (!this.#ended) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, CLOSE_MS);
        this.#closed = () => {
          clearTimeout(timer);
          resolve();
        };
        this.#guarded(() => this.#parts.session.close(performance.now()));
      });
      this.#failure ??= new PollError("connection-lost", this.#about("released"));
    }
    this.#end();
    await this.#finished;
  }

  #finished: Promise<void> = Promise.resolve();

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#parts.signal?.removeEventListener("abort", this.#abort);
    this.#finished = this.#letGo();
    this.#closed();
  }

  async #letGo(): Promise<void> {
    const { wire, onEnd } = this.#parts;
    try {
      await wire.close();
      await onEnd();
    } catch {
      // What was left to note is noted by the next association.
    }
  }

  #about(text: string): string {
    return `meter ${this.#parts.meterNumber}, client ${this.clientSap}: ${text}`;
  }

  #pollError(error: Error, associationStands = false): PollError {
    if (error instanceof PollError) return error;
    return new PollError(failureOf(error), this.#about(error.message), { cause: error, associationStands });
  }
}

function failureOf(error: Error): PollFailure {
  if (error instanceof SilenceError) return "timeout";
  if (error instanceof LinkLostError) return "connection-lost";
  if (error instanceof LocalProtocolError) return "limit";
  if (!(error instanceof PeerProtocolError)) return "protocol";
  switch (error.reason) {
    case "association_refused":
      return "association-refused";
    case "hls_failed":
      return "hls-failed";
    case "key_missing":
      return "key-missing";
    case "limit":
      return "limit";
    default:
      return "protocol";
  }
}
