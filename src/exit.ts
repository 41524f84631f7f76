/** Exit codes of the `hes` command, as in sysexits.h. */
export const EXIT = {
  ok: 0,
  /** The command line is wrong. */
  usage: 64,
  /** Data that was given (a file, octets, an identifier) is wrong. */
  data: 65,
  /** Something needed is not there: the database, a port. */
  unavailable: 69,
  /** A fault of ours. */
  internal: 70,
  /** The configuration is wrong. */
  configuration: 78,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** A mistake that its user can mend: the message says what, where and what to do. Printed without a stack trace. */
export class UserError extends Error {
  readonly exitCode: ExitCode;

  constructor(exitCode: ExitCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "UserError";
    this.exitCode = exitCode;
  }
}
