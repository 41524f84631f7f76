import type { DataLimits } from "../dlms/encoding/data-types.ts";
import type { BorrowedAssociations } from "../storage/borrowed-associations.ts";
import type { Bell } from "./bell.ts";
import { answerFromJson, type LentRequest, requestToJson } from "./lent-messages.ts";
import {
  type InvokeOutcome,
  type InvokeRequest,
  type MeterAssociation,
  PollError,
  type PollFailure,
  type ReadOptions,
  type ReadOutcome,
  type ReadProgress,
  type ReadRequest,
  type WriteOutcome,
  type WriteRequest,
} from "./meter-association.ts";

export interface BorrowedParts {
  /** Row of `lent_associations`. */
  readonly id: number;
  readonly meterId: string;
  readonly clientSap: number;
  readonly conformance: number;
  readonly meterSystemTitle: Buffer | null;
  readonly borrowed: BorrowedAssociations;
  /** Rung when the lender has written something, or the caller gives up. */
  readonly bell: Bell;
  readonly signal: AbortSignal | undefined;
  readonly limits: DataLimits;
  /** Called once when it has ended. */
  readonly forget: () => void;
}

const LOOK_MS = 1_000;
/** How long the lender has time to release the association. */
const RELEASE_MS = 10_000;

/** What a lender has told. A daemon that stops breaks off what it lends; to the command that is a broken line. */
export function brokenOff(failure: string, text: string): PollError {
  return failure === "aborted"
    ? new PollError("connection-lost", "the daemon that had the association with the meter has stopped")
    : new PollError(failure as PollFailure, text);
}

/** An association that a daemon has opened for this process: requests and answers go by the database. */
export class BorrowedAssociation implements MeterAssociation {
  readonly meterId: string;
  readonly clientSap: number;
  readonly conformance: number;
  readonly meterSystemTitle: Buffer | null;
  readonly #parts: BorrowedParts;
  #position = 0;
  #tail: Promise<unknown> = Promise.resolve();
  #released: Promise<void> | null = null;
  #failure: PollError | null = null;

  constructor(parts: BorrowedParts) {
    this.#parts = parts;
    this.meterId = parts.meterId;
    this.clientSap = parts.clientSap;
    this.conformance = parts.conformance;
    this.meterSystemTitle = parts.meterSystemTitle;
  }

  read(requests: readonly ReadRequest[], options: ReadOptions = {}): Promise<ReadOutcome[]> {
    return this.#inTurn({ service: "read", requests }, options.onProgress) as Promise<ReadOutcome[]>;
  }

  write(requests: readonly WriteRequest[]): Promise<WriteOutcome[]> {
    return this.#inTurn({ service: "write", requests }) as Promise<WriteOutcome[]>;
  }

  invoke(requests: readonly InvokeRequest[]): Promise<InvokeOutcome[]> {
    return this.#inTurn({ service: "invoke", requests }) as Promise<InvokeOutcome[]>;
  }

  release(): Promise<void> {
    this.#released ??= this.#release();
    return this.#released;
  }

  #inTurn(
    request: LentRequest,
    onProgress: (progress: ReadProgress) => void = () => undefined,
  ): Promise<readonly unknown[]> {
    const ask = () => this.#ask(request, onProgress);
    const result = this.#tail.then(ask, ask);
    this.#tail = result.catch(() => undefined);
    return result;
  }

  async #ask(
    request: LentRequest,
    onProgress: (progress: ReadProgress) => void,
  ): Promise<readonly unknown[]> {
    if (this.#failure !== null) throw this.#failure;
    if (this.#released !== null) throw this.#failed("connection-lost", "the association was released");
    const { borrowed, id, limits } = this.#parts;
    const position = ++this.#position;
    await borrowed.request(id, position, requestToJson(request));
    const answer = answerFromJson(await this.#answer(position, onProgress), limits);
    if (answer.kind === "failed") throw this.#failed(answer.failure, answer.text);
    return answer.outcomes;
  }

  async #answer(position: number, onProgress: (progress: ReadProgress) => void): Promise<unknown> {
    const { borrowed, id, bell, signal } = this.#parts;
    let told = "";
    for (;;) {
      if (signal?.aborted) throw this.#failed("aborted", "given up");
      const found = await borrowed.answer(id, position);
      if (found.kind === "answer") return found.answer;
      if (found.kind === "gone") throw this.#failed("aborted", "");
      const progress = JSON.stringify(found.progress);
      if (found.progress !== null && progress !== told) onProgress(found.progress as ReadProgress);
      told = progress;
      await bell.heard(LOOK_MS);
    }
  }

  /** Nothing more can be asked. */
  #failed(failure: string, text: string): PollError {
    const given = this.#parts.signal?.aborted === true;
    this.#failure = given ? new PollError("aborted", text) : brokenOff(failure, text);
    return this.#failure;
  }

  async #release(): Promise<void> {
    const { borrowed, id, bell, signal, forget } = this.#parts;
    try {
      if (signal?.aborted) return await borrowed.giveUp(id);
      await this.#tail;
      await borrowed.done(id);
      const deadline = performance.now() + RELEASE_MS;
      while ((await borrowed.isThere(id)) && performance.now() < deadline) await bell.heard(LOOK_MS);
      await borrowed.giveUp(id);
    } catch {
      // The row ages, and the lender lets the meter go.
    } finally {
      forget();
    }
  }
}
