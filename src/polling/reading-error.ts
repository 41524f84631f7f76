/** Why a meter that could be talked to gave nothing that could be stored. */
export type ReadingFailure =
  /** It doesn't give what was asked for. */
  | "refused"
  /** What it gave can't be turned into rows. */
  | "unmappable";

export class ReadingError extends Error {
  readonly failure: ReadingFailure;

  constructor(failure: ReadingFailure, text: string) {
    super(text);
    this.name = "ReadingError";
    this.failure = failure;
  }
}
