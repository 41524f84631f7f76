/** Why a body that was understood can't be stored: the reason of its quarantine. */
export class UnmappableError extends Error {
  readonly reason: "unmappable" | "scaler_unknown" | "time_implausible";

  constructor(reason: UnmappableError["reason"], text: string) {
    super(text);
    this.name = "UnmappableError";
    this.reason = reason;
  }
}
