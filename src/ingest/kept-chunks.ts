/** What was read and has to stand in line before the deframer gets it, and who waits until it was taken in. */
export class KeptChunks {
  private readonly chunks: Buffer[] = [];
  private handedOn = 0;
  private readonly waiting: { readonly chunks: number; readonly call: () => void }[] = [];
  octets = 0;

  get isEmpty(): boolean {
    return this.chunks.length === 0;
  }

  add(chunk: Buffer): void {
    this.chunks.push(chunk);
    this.octets += chunk.length;
  }

  /** The next one; there must be one. */
  shift(): Buffer {
    const chunk = this.chunks.shift()!;
    this.octets -= chunk.length;
    this.handedOn++;
    return chunk;
  }

  /** Calls, when it is told so, behind those that stand here now, whatever comes behind them. */
  whenTakenIn(call: () => void): void {
    this.waiting.push({ chunks: this.handedOn + this.chunks.length, call });
  }

  /** All that was handed on is taken in. */
  tellTakenIn(): void {
    while (this.waiting.length > 0 && this.waiting[0]!.chunks <= this.handedOn) this.waiting.shift()!.call();
  }
}
