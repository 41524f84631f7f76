import { DecodeError } from "../dlms/bytes/errors.ts";
import { EXIT, type ExitCode, UserError } from "../exit.ts";
import { EnvelopeError } from "../keys/envelope.ts";

/** System errors that mean: something needed is not there now. */
const AWAY = new Set([
  "ECONNREFUSED",
  "ECONNRESET",
  "ENOTFOUND",
  "EAI_AGAIN",
  "ETIMEDOUT",
  "EHOSTUNREACH",
  "EADDRINUSE",
  "EADDRNOTAVAIL",
  "EACCES",
]);

/** SQLSTATE insufficient_privilege. */
const NOT_PERMITTED = "42501";

/** Files that were named on the command line and aren't there, or are something else. */
const WRONG_FILE = new Set(["ENOENT", "EISDIR", "ENOTDIR"]);

export function exitCodeOf(error: unknown): ExitCode {
  if (error instanceof UserError) return error.exitCode;
  if (error instanceof DecodeError) return EXIT.data;
  const code = codeOf(error);
  if (isNotPermitted(error) || error instanceof EnvelopeError) return EXIT.configuration;
  if (code === "unavailable" || AWAY.has(code)) return EXIT.unavailable;
  if (WRONG_FILE.has(code)) return EXIT.data;
  return EXIT.internal;
}

/** A sentence for what a user can mend, the stack for what only we can. */
export function explain(error: unknown): string {
  if (!(error instanceof Error)) return `hes: ${String(error)}`;
  if (exitCodeOf(error) === EXIT.internal) {
    return `hes: this is a fault of the program; please report it with these lines\n${error.stack ?? error.message}`;
  }
  return `hes: ${sentence(error)}${isNotPermitted(error) ? LOGIN : ""}`;
}

const LOGIN =
  " in the database: commands use the login of database.keys_url, or of database.url where that is empty, and it isn't in the role that this needs " +
  "(docs/operating/security.md)";

const isNotPermitted = (error: unknown) =>
  (error as { sqlState?: unknown } | null)?.sqlState === NOT_PERMITTED;

/** An AggregateError, as of a connection tried on several addresses, has its words in its parts. */
function sentence(error: Error): string {
  if (error.message !== "") return error.message;
  if (error instanceof AggregateError) return [...new Set(error.errors.map(String))].join("; ");
  return codeOf(error) || error.name;
}

function codeOf(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === "string" ? code : "";
}
