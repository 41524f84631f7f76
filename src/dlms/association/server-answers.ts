import { Writer } from "../bytes/writer.ts";
import { writeData } from "../encoding/data.ts";
import { writeLength } from "../encoding/length.ts";
import { writeApdu } from "../xdlms/apdu.ts";
import type { ActionResult, DataAccessResult } from "../xdlms/result-codes.ts";
import type { GetAnswer, InvokeAnswer } from "./meter-objects.ts";
import type { OutgoingBlock } from "./server-blocks.ts";

/** Octets of what a meter answers, with their tags: an APDU, or what is cut into the blocks of one. */

/** 00 Data, or 01 data-access-result. */
export function getDataResultOctets(answer: GetAnswer): Buffer {
  const writer = new Writer();
  writeGetDataResult(writer, answer);
  return writer.finish();
}

/** count, { 00 Data or 01 result }: the list of a with-list answer. */
export function listOctets(answers: readonly GetAnswer[]): Buffer {
  const writer = new Writer();
  writeLength(writer, answers.length);
  for (const answer of answers) writeGetDataResult(writer, answer);
  return writer.finish();
}

/** result, 00 or 01 and return parameters; with a count in front where there is a list. */
export function actionOctets(answers: readonly InvokeAnswer[], isList: boolean): Buffer {
  const parts = answers.map(({ result, value }) => {
    const apdu = writeApdu({
      apdu: "action-response",
      kind: "normal",
      invokeIdAndPriority: 0,
      result,
      returnParameters: value === null ? null : { kind: "data", data: value },
    });
    return apdu.subarray(3);
  });
  if (!isList) return parts[0]!;
  const writer = new Writer();
  writeLength(writer, parts.length);
  for (const part of parts) writer.octets(part);
  return writer.finish();
}

/** An answer's octets behind the tag, the choice and the invoke-id. */
export function respond(tag: number, choice: number, invokeId: number, body: Buffer): Buffer {
  return Buffer.concat([Buffer.from([tag, choice, invokeId]), body]);
}

export const refused = (result: DataAccessResult): GetAnswer => ({ kind: "refused", result });

export const actionRefused = (result: ActionResult): InvokeAnswer => ({ result, value: null });

function writeGetDataResult(writer: Writer, answer: GetAnswer): void {
  if (answer.kind === "refused") {
    // Through the codec, which knows the numbers.
    writer.octets(
      writeApdu({
        apdu: "get-response",
        kind: "normal",
        invokeIdAndPriority: 0,
        result: { kind: "data-access-result", result: answer.result },
      }).subarray(3),
    );
    return;
  }
  writer.unsigned8(0);
  if (answer.kind === "encoded") writer.octets(answer.octets);
  else writeData(writer, answer.value);
}

export function getBlock(invokeIdAndPriority: number, block: OutgoingBlock): Buffer {
  const { lastBlock, blockNumber, rawData } = block;
  const result = { kind: "raw-data", rawData } as const;
  return writeApdu({
    apdu: "get-response",
    kind: "with-datablock",
    invokeIdAndPriority,
    lastBlock,
    blockNumber,
    result,
  });
}

export function getBlockRefusal(
  invokeIdAndPriority: number,
  blockNumber: number,
  result: DataAccessResult,
): Buffer {
  return writeApdu({
    apdu: "get-response",
    kind: "with-datablock",
    invokeIdAndPriority,
    lastBlock: true,
    blockNumber,
    result: { kind: "data-access-result", result },
  });
}

export function setNormal(invokeIdAndPriority: number, result: DataAccessResult): Buffer {
  return writeApdu({ apdu: "set-response", kind: "normal", invokeIdAndPriority, result });
}

export function setList(invokeIdAndPriority: number, results: DataAccessResult[]): Buffer {
  return writeApdu({ apdu: "set-response", kind: "with-list", invokeIdAndPriority, results });
}

export function setBlockTaken(invokeIdAndPriority: number, blockNumber: number): Buffer {
  return writeApdu({ apdu: "set-response", kind: "datablock", invokeIdAndPriority, blockNumber });
}

export function setLast(
  invokeIdAndPriority: number,
  blockNumber: number,
  results: DataAccessResult[],
  isList: boolean,
): Buffer {
  const fields = { apdu: "set-response", invokeIdAndPriority, blockNumber } as const;
  return isList
    ? writeApdu({ ...fields, kind: "last-datablock-with-list", results })
    : writeApdu({ ...fields, kind: "last-datablock", result: results[0]! });
}

export function actionBlock(invokeIdAndPriority: number, block: OutgoingBlock): Buffer {
  return writeApdu({ apdu: "action-response", kind: "with-pblock", invokeIdAndPriority, ...block });
}

export function actionBlockTaken(invokeIdAndPriority: number, blockNumber: number): Buffer {
  return writeApdu({ apdu: "action-response", kind: "next-pblock", invokeIdAndPriority, blockNumber });
}

export function actionFailed(invokeIdAndPriority: number, result: ActionResult): Buffer {
  const fields = { kind: "normal", invokeIdAndPriority, result, returnParameters: null } as const;
  return writeApdu({ apdu: "action-response", ...fields });
}
