import type { Data } from "../encoding/data-types.ts";
import { expandProfileRows } from "../encoding/profile-compression.ts";
import type { CaptureObjectDefinition } from "./capture-object.ts";
import { DataMismatch, describeType } from "./classes/data-codec.ts";
import { CLOCK_TIME, isSameCaptureObject } from "./selective-access.ts";

/** The column that holds the time at which a row was captured, from 0; null: there is none. */
export function clockColumnOf(captureObjects: readonly CaptureObjectDefinition[]): number | null {
  const column = captureObjects.findIndex((one) => isSameCaptureObject(one, CLOCK_TIME));
  return column < 0 ? null : column;
}

/**
 * The rows of a profile's buffer (class 7, attribute 2), a Data for every capture object, in the order in which the meter gave them; what it
 * had compressed is expanded. `captureObjects` are those of the columns that were read; `capturePeriodSeconds` is needed only for
 * clocks that the meter left out, null where it isn't known.
 *
 * @throws DataMismatch where the buffer is no array of structures with a value for every capture object
 */
export function profileRows(
  buffer: Data,
  captureObjects: readonly CaptureObjectDefinition[],
  capturePeriodSeconds: number | null,
): Data[][] {
  if (buffer.type === "null-data") return [];
  if (buffer.type !== "array") {
    throw new DataMismatch(`${describeType(buffer)} where an array of rows is expected`);
  }
  buffer.value.forEach((row, index) => {
    if (row.type !== "structure" || row.value.length !== captureObjects.length) {
      throw new DataMismatch(
        `${describeType(row)} where structure of ${captureObjects.length} is expected, a value for every capture object`,
        `[${index}]`,
      );
    }
  });
  const compression = { clockColumn: clockColumnOf(captureObjects), capturePeriodSeconds };
  return expandProfileRows(buffer.value, compression).map((row) => row.value as Data[]);
}
