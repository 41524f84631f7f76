import { Reader } from "../bytes/reader.ts";
import { data } from "../encoding/codec.ts";
import type { Data, DataLimits } from "../encoding/data-types.ts";
import type { AccessRequest } from "../xdlms/access.ts";
import { writeApdu } from "../xdlms/apdu.ts";
import { type GuardedObjects, givenOf } from "./guarded-objects.ts";

/** Bit of the long-invoke-id-and-priority: what follows a failure is left undone. */
const BREAK_ON_ERROR = 0x2000_0000;
const NOTHING: Data = { type: "null-data", value: null };

/** Does what an ACCESS asks for, one after the other. The answer may be longer than an APDU of the client's may be. */
export function accessResponse(
  { longInvokeId, specifications, data: given }: AccessRequest,
  objects: GuardedObjects,
  limits: DataLimits,
): Buffer {
  const values: Data[] = [];
  let broken = false;
  const results = specifications.map((specification, at) => {
    const { value, ...result } = broken
      ? skipped(specification.kind)
      : one(specification, given[at] ?? NOTHING, objects, limits);
    values.push(value ?? NOTHING);
    if ((longInvokeId & BREAK_ON_ERROR) !== 0 && result.result !== "success") broken = true;
    return result;
  });
  return writeApdu({
    apdu: "access-response",
    longInvokeId,
    dateTime: null,
    specifications: null,
    data: values,
    results: results as never,
  });
}

interface One {
  readonly kind: "get" | "set" | "action";
  readonly result: string | number;
  readonly value: Data | null;
}

function one(
  specification: AccessRequest["specifications"][number],
  given: Data,
  objects: GuardedObjects,
  limits: DataLimits,
): One {
  const accessSelection = "accessSelection" in specification ? specification.accessSelection : null;
  switch (specification.kind) {
    case "get":
    case "get-with-selection": {
      const answer = objects.read({ attribute: specification.attribute, accessSelection });
      if (answer.kind === "refused") return { kind: "get", result: answer.result, value: null };
      const value = answer.kind === "data" ? answer.value : data.read(new Reader(answer.octets), limits);
      return { kind: "get", result: "success", value };
    }
    case "set":
    case "set-with-selection": {
      const result = objects.write({ attribute: specification.attribute, accessSelection }, given);
      return { kind: "set", result, value: null };
    }
    case "action":
      return { kind: "action", ...objects.invoke(specification.method, givenOf(given)) };
  }
}

function skipped(kind: string): One {
  const service = kind.startsWith("get") ? "get" : kind.startsWith("set") ? "set" : "action";
  return { kind: service, result: "other-reason", value: null };
}
