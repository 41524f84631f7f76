/**
 * What was done to a meter, kept before it is done. A command is one intention (set the clock); its steps are the attributes
 * written and methods called for it, each with the value before, the value written and the value read back.
 *
 *     requested   written down, nothing sent
 *     sent        on its way; where it stays so, nobody knows whether the meter took it
 *     verified    read back, and as it should be
 *     differs     the meter said yes, and what it holds now is something else
 *     refused     the meter said no
 *     failed      the line or the association broke, or there was nothing to do it with
 */
export type CommandState = "requested" | "sent" | "verified" | "differs" | "refused" | "failed";

export type CommandKind = "clock" | "push-setup" | "relay";

export interface NewCommand {
  /** Id of a row of `meters`. */
  readonly meterId: string;
  readonly kind: CommandKind;
  readonly clientSap: number;
  /** What is wanted, for people and queries; JSON. */
  readonly requested: unknown;
}

export interface NewStep {
  readonly classId: number;
  /** "0.0.1.0.0.255" */
  readonly logicalName: string;
  readonly attribute: number | null;
  readonly method: number | null;
  /** Data as in `hes decode --json`; undefined where nothing was read before. */
  readonly before?: unknown;
  readonly written: unknown;
}

export interface StepEnd {
  readonly state: Exclude<CommandState, "requested" | "sent">;
  /** Data read back; undefined: none was. */
  readonly after?: unknown;
  /** Why, in words; null where it is as it should be. */
  readonly reason: string | null;
}

/** Each call is durable when it returns. */
export interface CommandLog {
  /** @returns the command's id */
  begin(command: NewCommand): Promise<string>;
  /** Before it is sent: the step is `sent` from now on, and so is the command. @returns its place in the command, from 1 */
  sending(commandId: string, step: NewStep): Promise<number>;
  endStep(commandId: string, step: number, end: StepEnd): Promise<void>;
  end(commandId: string, state: StepEnd["state"], reason: string | null): Promise<void>;
}
