import { enumerated, type ValueOf } from "../encoding/codec.ts";

/** Data-Access-Result. Numbers that the standard does not name are kept as numbers. */
export const dataAccessResult = enumerated({
  0: "success",
  1: "hardware-fault",
  2: "temporary-failure",
  3: "read-write-denied",
  4: "object-undefined",
  9: "object-class-inconsistent",
  11: "object-unavailable",
  12: "type-unmatched",
  13: "scope-of-access-violated",
  14: "data-block-unavailable",
  15: "long-get-aborted",
  16: "no-long-get-in-progress",
  17: "long-set-aborted",
  18: "no-long-set-in-progress",
  19: "data-block-number-invalid",
  250: "other-reason",
});

export type DataAccessResult = ValueOf<typeof dataAccessResult>;

/** Action-Result. */
export const actionResult = enumerated({
  0: "success",
  1: "hardware-fault",
  2: "temporary-failure",
  3: "read-write-denied",
  4: "object-undefined",
  9: "object-class-inconsistent",
  11: "object-unavailable",
  12: "type-unmatched",
  13: "scope-of-access-violated",
  14: "data-block-unavailable",
  15: "long-action-aborted",
  16: "no-long-action-in-progress",
  250: "other-reason",
});

export type ActionResult = ValueOf<typeof actionResult>;
