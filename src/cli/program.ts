export interface Output {
  write(text: string): void;
  error(text: string): void;
}

/** What every command gets: where to print, and the options that stand before the command. */
export interface Program {
  /** `--config FILE`; undefined where it wasn't given. */
  configFile(): string | undefined;
  /** A line, or several, on standard output. */
  print(text: string): void;
  /** A line on standard error. */
  complain(text: string): void;
  /** The exit code, where the command ends without an error and yet not well. */
  finish(code: number): void;
}
