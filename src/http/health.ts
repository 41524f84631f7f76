export type Readiness = "starting" | "ready" | "degraded" | "stopping";

export interface HealthReport {
  readonly status: Readiness;
  /** What each part says of itself; "ok" where all is well. */
  readonly parts: Readonly<Record<string, string>>;
}

/**
 * What the daemon knows of its own condition. Ready: listeners bound and migrations current. Degraded: ready, but a part that can
 * come back by itself, such as the database, is away.
 */
export class Health {
  #phase: "starting" | "running" | "stopping" = "starting";
  readonly #parts = new Map<string, string>();

  started(): void {
    if (this.#phase === "starting") this.#phase = "running";
  }

  stopping(): void {
    this.#phase = "stopping";
  }

  /** @param condition "ok", or what is wrong in a few words */
  set(part: string, condition: string): void {
    this.#parts.set(part, condition);
  }

  report(): HealthReport {
    const parts = Object.fromEntries(this.#parts);
    if (this.#phase !== "running") return { status: this.#phase, parts };
    const sound = Object.values(parts).every((condition) => condition === "ok");
    return { status: sound ? "ready" : "degraded", parts };
  }
}
