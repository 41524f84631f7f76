import type {
  InvokeOutcome,
  InvokeRequest,
  ReadOutcome,
  ReadRequest,
  WriteOutcome,
  WriteRequest,
} from "../dlms/association/requests.ts";
import { parseHex } from "../dlms/bytes/hex.ts";
import { Reader } from "../dlms/bytes/reader.ts";
import { Writer } from "../dlms/bytes/writer.ts";
import type { SelectiveAccessDescriptor } from "../dlms/cosem/attribute-descriptor.ts";
import { readData, writeData } from "../dlms/encoding/data.ts";
import type { Data, DataLimits } from "../dlms/encoding/data-types.ts";

/*
 * What is asked over an association that is lent, and what came of it, as they stand in lent_requests: JSON, in which a Data is its octets in
 * A-XDR as hex.
 */

export type LentRequest =
  | { readonly service: "read"; readonly requests: readonly ReadRequest[] }
  | { readonly service: "write"; readonly requests: readonly WriteRequest[] }
  | { readonly service: "invoke"; readonly requests: readonly InvokeRequest[] };

export type LentAnswer =
  | { readonly kind: "outcomes"; readonly outcomes: readonly LentOutcome[] }
  /** The association or the line broke: a PollError. */
  | { readonly kind: "failed"; readonly failure: string; readonly text: string };

export type LentOutcome = ReadOutcome | WriteOutcome | InvokeOutcome;

// biome-ignore lint/suspicious/noExplicitAny: JSON of our own making, from a table that only we write
type Json = any;

export function requestToJson({ service, requests }: LentRequest): Json {
  if (service === "invoke") {
    return {
      service,
      requests: requests.map(({ method, parameters }) => ({ method, parameters: orNull(parameters) })),
    };
  }
  return {
    service,
    requests: requests.map(({ attribute, selection, ...more }) => ({
      attribute,
      selection: selection ? { ...selection, parameters: octetsOf(selection.parameters) } : null,
      ...("value" in more ? { value: octetsOf((more as WriteRequest).value) } : {}),
    })),
  };
}

/** @throws DecodeError for Data that is none, or more of it than `limits` allow */
export function requestFromJson({ service, requests }: Json, limits: DataLimits): LentRequest {
  if (service === "invoke") {
    return {
      service,
      requests: requests.map(({ method, parameters }: Json) => ({
        method,
        parameters: parameters === null ? null : dataOf(parameters, limits),
      })),
    };
  }
  return {
    service,
    requests: requests.map(({ attribute, selection, value }: Json) => ({
      attribute,
      selection: selectionOf(selection, limits),
      ...(service === "write" ? { value: dataOf(value, limits) } : {}),
    })),
  };
}

export function answerToJson(answer: LentAnswer): Json {
  if (answer.kind === "failed") return answer;
  const outcomes = answer.outcomes.map((outcome) =>
    "value" in outcome ? { ...outcome, value: orNull(outcome.value) } : outcome,
  );
  return { kind: answer.kind, outcomes };
}

/** @throws DecodeError */
export function answerFromJson(answer: Json, limits: DataLimits): LentAnswer {
  if (answer.kind === "failed") return answer;
  const outcomes = answer.outcomes.map((outcome: Json) =>
    typeof outcome.value === "string" ? { ...outcome, value: dataOf(outcome.value, limits) } : outcome,
  );
  return { kind: "outcomes", outcomes };
}

function selectionOf(selection: Json, limits: DataLimits): SelectiveAccessDescriptor | null {
  return selection === null ? null : { ...selection, parameters: dataOf(selection.parameters, limits) };
}

const orNull = (data: Data | null): string | null => (data === null ? null : octetsOf(data));

function octetsOf(data: Data): string {
  const writer = new Writer();
  writeData(writer, data);
  return writer.finish().toString("hex");
}

const dataOf = (hex: string, limits: DataLimits): Data => readData(new Reader(parseHex(hex)), limits);
