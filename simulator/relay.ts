/** The relay of a disconnector as the running block has seen it: registers move when a block ends, and it may have been switched within. */
export class Relay {
  /** What it is at the begin of all that is remembered. */
  #connected = true;
  /** Switchings in their order, null while there are none: most meters are never switched. Times by the meter's clock, epoch ms. */
  #switched: { readonly atMs: number; readonly connected: boolean }[] | null = null;

  /** What it is now. */
  get connected(): boolean {
    return this.#switched?.at(-1)?.connected ?? this.#connected;
  }

  switch(connected: boolean, atMs: number): void {
    this.#switched ??= [];
    this.#switched.push({ atMs, connected });
  }

  connectedAt(atMs: number): boolean {
    return this.#switched?.findLast((one) => one.atMs <= atMs)?.connected ?? this.#connected;
  }

  /** Nobody will ask for instants before `atMs` again. */
  forgetBefore(atMs: number): void {
    if (this.#switched === null) return;
    this.#connected = this.connectedAt(atMs);
    const later = this.#switched.filter((one) => one.atMs > atMs);
    this.#switched = later.length > 0 ? later : null;
  }
}
