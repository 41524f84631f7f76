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

/** Classes of SQLSTATE after which the same statements may succeed: connections, resources, operator, rollbacks. */
const PASSING = /^(08|40|53|57|58|55P03)/;
const CONSTRAINT = /^(22|23)/;

/** What pg and the sockets below it throw, as a StorageError. */
export function storageError(error: unknown): StorageError {
  if (error instanceof StorageError) return error;
  const { code, message } = error as { code?: unknown; message?: string };
  const text = message ?? String(error);
  if (typeof code === "string" && /^[0-9A-Z]{5}$/.test(code)) {
    const kind = PASSING.test(code) ? "unavailable" : CONSTRAINT.test(code) ? "constraint" : "internal";
    return new StorageError(kind, text, { sqlState: code, cause: error });
  }
  const lost = typeof code === "string" || /terminat|closed|timeout|ended|not queryable/i.test(text);
  return new StorageError(lost ? "unavailable" : "internal", text, { cause: error });
}
