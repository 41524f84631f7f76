/** `unavailable`: the database can't be reached just now. `constraint`: it refused the data. `internal`: the rest. */
export type StorageErrorCode = "unavailable" | "constraint" | "internal";

export class StorageError extends Error {
  readonly code: StorageErrorCode;
  /** PostgreSQL's five characters, where it was PostgreSQL that spoke. */
  readonly sqlState: string | null;

  constructor(
    code: StorageErrorCode,
    message: string,
    options: { sqlState?: string | null; cause?: unknown } = {},
  ) {
    super(message, { cause: options.cause });
    this.name = "StorageError";
    this.code = code;
    this.sqlState = options.sqlState ?? null;
  }

  /** The same call may succeed later without anything being changed. */
  get retryable(): boolean {
    return this.code === "unavailable";
  }
}

/**
 * Classes of SQLSTATE after which the same statements may succeed: connections, resources, operator, rollbacks. 25006 is a server that only
 * reads, as a standby does: behind a failover's address another one stands, or this one will be promoted.
 */
const PASSING = /^(08|40|53|57|58|55P03|25006)/;
const READ_ONLY = "25006";
const CONSTRAINT = /^(22|23)/;

/** How pg words the loss of a connection, which it throws as a bare Error. */
const LOST =
  /connection terminated|connection ended|client was closed|not queryable|timeout exceeded|timeout expired/i;

/** Of a database that answers and can't be written. `text`: how it shows. */
export const onlyReads = (text: string, cause?: Error) =>
  new StorageError("unavailable", `The database only reads, as a standby does: ${text}`, {
    sqlState: READ_ONLY,
    cause,
  });

/** What pg and the sockets below it throw, as a StorageError; anything else (a caller's own error) as it is. */
export function storageError(error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof StorageError) return error;
  const { code, severity } = error as { code?: unknown; severity?: unknown };
  if (typeof code === "string" && typeof severity === "string") {
    if (code === READ_ONLY) return onlyReads(error.message, error);
    const kind = PASSING.test(code) ? "unavailable" : CONSTRAINT.test(code) ? "constraint" : "internal";
    return new StorageError(kind, error.message, { sqlState: code, cause: error });
  }
  const socket = typeof code === "string" && /^E[A-Z_]+$/.test(code) && "syscall" in error;
  if (socket || LOST.test(error.message)) {
    return new StorageError("unavailable", `The database is away: ${error.message}`, { cause: error });
  }
  return error;
}
