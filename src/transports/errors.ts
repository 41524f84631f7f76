/** A line or socket that does not work: `code` is that of the operating system where there is one. */
export class TransportError extends Error {
  readonly code: string;

  constructor(code: string, text: string, options?: ErrorOptions) {
    super(text, options);
    this.name = "TransportError";
    this.code = code;
  }
}

/** What went wrong, as a TransportError that says with what: "tcp [::]:4059: address already in use (EADDRINUSE)". */
export function transportError(what: string, cause: unknown): TransportError {
  if (cause instanceof TransportError) return cause;
  const error: NodeJS.ErrnoException = cause instanceof Error ? cause : new Error(String(cause));
  return new TransportError(error.code ?? "UNKNOWN", `${what}: ${error.message}`, { cause });
}
