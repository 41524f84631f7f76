import type { AccessResponse } from "../dlms/xdlms/access.ts";
import type { ScopedLists } from "./capture-lists.ts";
import {
  type CapturedColumn,
  type CapturedPush,
  capturedColumn,
  isIdentifierCode,
  printableText,
} from "./captured.ts";

/** An ACCESS response as a push: its values have names where the request's specifications stand in it. */
export function captureAccessResponse(
  response: Omit<AccessResponse, "apdu">,
  lists: ScopedLists,
): CapturedPush {
  const { specifications, data, results } = response;
  if (specifications === null || specifications.length !== data.length) {
    return unexplained("the ACCESS response does not repeat its request, so that its values have no names");
  }
  const columns: CapturedColumn[] = [];
  const row: typeof data = [];
  for (const [index, specification] of specifications.entries()) {
    const succeeded = results[index]?.result === "success";
    if (!succeeded || (specification.kind !== "get" && specification.kind !== "get-with-selection")) continue;
    const { instanceId, classId, attributeId } = specification.attribute;
    columns.push(capturedColumn(instanceId, classId, attributeId, 0));
    row.push(data[index]!);
  }
  if (columns.length === 0) return unexplained("no attribute was read");
  const identifiers = columns.flatMap(({ code }, index) =>
    isIdentifierCode(code) ? (printableText(row[index]) ?? []) : [],
  );
  const list = lists.ofColumns(columns, "single");
  return {
    layout: "attribute",
    identifiers,
    pushSetup: null,
    clock: null,
    list,
    first: 0,
    rows: [row],
    problem: null,
  };
}

/** Values that nothing explains, and why. */
export function unexplained(problem: string): CapturedPush {
  return {
    layout: null,
    identifiers: [],
    pushSetup: null,
    clock: null,
    list: null,
    first: 0,
    rows: [],
    problem,
  };
}
