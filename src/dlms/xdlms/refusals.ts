import type { Codec } from "../encoding/codec.ts";
import { choice, enumerated, sequence, type ValueOf } from "../encoding/codec.ts";

/**
 * ExceptionResponse, tag D8: state-error 1 · service-error 1 · with service-error 6, the invocation counter 4 that is
 * expected. Some meters leave the counter out.
 *
 * Example: D8 02 06 00000011 expects counter 17.
 */
const stateError = enumerated({ 1: "service-not-allowed", 2: "service-unknown" });

const serviceError = enumerated({
  1: "operation-not-possible",
  2: "service-not-supported",
  3: "other-reason",
  4: "pdu-too-long",
  5: "deciphering-error",
  6: "invocation-counter-error",
});

const invocationCounter: Codec<number | null> = {
  read: (reader) => (reader.remaining() === 0 ? null : reader.unsigned32()),
  write: (writer, value) => {
    if (value !== null) writer.unsigned32(value);
  },
};

const fixedPart = sequence({ stateError, serviceError });
const counterPart = sequence({ invocationCounter });

export const exceptionResponse: Codec<ValueOf<typeof fixedPart> & { invocationCounter: number | null }> = {
  read: (reader, limits) => {
    const fixed = fixedPart.read(reader, limits);
    if (fixed.serviceError !== "invocation-counter-error") return { ...fixed, invocationCounter: null };
    return { ...fixed, ...counterPart.read(reader, limits) };
  },
  write: (writer, value) => {
    fixedPart.write(writer, value);
    counterPart.write(writer, value);
  },
};

export type ExceptionResponse = { apdu: "exception-response" } & ValueOf<typeof exceptionResponse>;

/**
 * ConfirmedServiceError, tag 0E: service 1 · error class 1 · value 1.
 *
 * Example: 0E 01 06 01 is initiate, class initiate, DLMS version too low.
 */
const serviceErrorClass = choice("ServiceError", {
  0: [
    "application-reference",
    sequence({
      value: enumerated({
        0: "other",
        1: "time-elapsed",
        2: "application-unreachable",
        3: "application-reference-invalid",
        4: "application-context-unsupported",
        5: "provider-communication-error",
        6: "deciphering-error",
      }),
    }),
  ],
  1: [
    "hardware-resource",
    sequence({
      value: enumerated({
        0: "other",
        1: "memory-unavailable",
        2: "processor-resource-unavailable",
        3: "mass-storage-unavailable",
        4: "other-resource-unavailable",
      }),
    }),
  ],
  2: [
    "vde-state-error",
    sequence({
      value: enumerated({
        0: "other",
        1: "no-dlms-context",
        2: "loading-data-set",
        3: "status-nochange",
        4: "status-inoperable",
      }),
    }),
  ],
  3: ["service", sequence({ value: enumerated({ 0: "other", 1: "pdu-size", 2: "service-unsupported" }) })],
  4: [
    "definition",
    sequence({
      value: enumerated({
        0: "other",
        1: "object-undefined",
        2: "object-class-inconsistent",
        3: "object-attribute-inconsistent",
      }),
    }),
  ],
  5: [
    "access",
    sequence({
      value: enumerated({
        0: "other",
        1: "scope-of-access-violated",
        2: "object-access-violated",
        3: "hardware-fault",
        4: "object-unavailable",
      }),
    }),
  ],
  6: [
    "initiate",
    sequence({
      value: enumerated({
        0: "other",
        1: "dlms-version-too-low",
        2: "incompatible-conformance",
        3: "pdu-size-too-short",
        4: "refused-by-the-vde-handler",
      }),
    }),
  ],
  7: [
    "load-data-set",
    sequence({
      value: enumerated({
        0: "other",
        1: "primitive-out-of-sequence",
        2: "not-loadable",
        3: "dataset-size-too-large",
        4: "not-awaited-segment",
        5: "interpretation-failure",
        6: "storage-failure",
        7: "data-set-not-ready",
      }),
    }),
  ],
  9: [
    "task",
    sequence({
      value: enumerated({
        0: "other",
        1: "no-remote-control",
        2: "ti-stopped",
        3: "ti-running",
        4: "ti-unusable",
      }),
    }),
  ],
  10: ["other", sequence({ value: enumerated({ 0: "other" }) })],
});

export const confirmedServiceError = sequence({
  service: enumerated({ 1: "initiate-error", 5: "read", 6: "write" }),
  error: serviceErrorClass,
});

export type ConfirmedServiceError = { apdu: "confirmed-service-error" } & ValueOf<
  typeof confirmedServiceError
>;
