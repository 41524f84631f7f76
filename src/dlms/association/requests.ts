import type {
  CosemAttributeDescriptor,
  CosemMethodDescriptor,
  SelectiveAccessDescriptor,
} from "../cosem/attribute-descriptor.ts";
import type { Data } from "../encoding/data-types.ts";
import type { ConfirmedServiceError, ExceptionResponse } from "../xdlms/refusals.ts";
import type { ActionResult, DataAccessResult } from "../xdlms/result-codes.ts";

/** What is asked of a meter, and what it answers; which services carry it is the association's concern. */
export interface ReadRequest {
  readonly attribute: CosemAttributeDescriptor;
  readonly selection?: SelectiveAccessDescriptor | null;
}

export interface WriteRequest extends ReadRequest {
  readonly value: Data;
}

export interface InvokeRequest {
  readonly method: CosemMethodDescriptor;
  /** null: no parameters. Methods that have none are mostly called with integer 0. */
  readonly parameters: Data | null;
}

/** The meter answered that it doesn't know or do what was asked: a value, for the association stands all the same. */
export interface Rejected {
  readonly kind: "rejected";
  readonly response: ExceptionResponse | ConfirmedServiceError;
}

export type ReadOutcome =
  | { readonly kind: "data"; readonly value: Data }
  | { readonly kind: "refused"; readonly result: DataAccessResult }
  | Rejected;

export type WriteOutcome =
  | { readonly kind: "done" }
  | { readonly kind: "refused"; readonly result: DataAccessResult }
  | Rejected;

export type InvokeOutcome =
  /** `value`: return parameters, null where there are none or the meter couldn't give them. */
  | { readonly kind: "done"; readonly value: Data | null }
  | { readonly kind: "refused"; readonly result: ActionResult | DataAccessResult }
  | Rejected;

export interface ReadProgress {
  /** Which request, from 0; in a with-list answer the first of the list. */
  readonly request: number;
  /** Octets of the answer so far. */
  readonly octets: number;
  /** Blocks of the answer so far. */
  readonly blocks: number;
}

/** What a refusal says, in the standard's words: "read-write-denied", "exception: service-not-allowed, operation-not-possible". */
export function describeRefusal(
  outcome: Rejected | { readonly kind: "refused"; readonly result: string | number },
): string {
  if (outcome.kind === "refused") return String(outcome.result);
  const { response } = outcome;
  if (response.apdu === "exception-response") {
    return `exception: ${response.stateError}, ${response.serviceError}`;
  }
  return `confirmed service error: ${response.service}, ${response.error.kind}, ${response.error.value}`;
}
