import type { SecurityError } from "../security/errors.ts";
import type { ExceptionResponse } from "../xdlms/refusals.ts";
import type { ApduProtection } from "./protection.ts";

/** What a meter answers where it can't answer a request. */
export function exception(
  stateError: ExceptionResponse["stateError"],
  serviceError: ExceptionResponse["serviceError"],
): ExceptionResponse {
  return { apdu: "exception-response", stateError, serviceError, invocationCounter: null };
}

/** With an old counter, the one that is expected is told. */
export function securityException(
  { reason }: SecurityError,
  protection: ApduProtection | null,
): ExceptionResponse {
  if (reason !== "replay") return exception("service-unknown", "deciphering-error");
  const high = protection?.global.received.high ?? 0;
  return { ...exception("service-unknown", "invocation-counter-error"), invocationCounter: high + 1 };
}
