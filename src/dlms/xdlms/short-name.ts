import {
  choice,
  data,
  integer16,
  octetString,
  optional,
  sequence,
  sequenceOf,
  unsigned8,
} from "../encoding/codec.ts";
import { dataAccessResult } from "./result-codes.ts";

/**
 * Services of short-name referencing. A meter that uses them names an attribute by a base name and an offset, which only its object
 * list explains.
 *
 *     05 read-request: count, variable names · 0C read-response: count, { 00 Data | 01 error | … }
 *     18 information-report: time 00, or 01 and an octet-string · count, variable names · count, Data
 *
 * Example: 18 00 01 02 2D50 01 12 00E6 reports the long-unsigned 230 of the variable 2D50.
 */
const variableAccess = choice("Variable-Access-Specification", {
  2: ["variable-name", sequence({ variableName: integer16 })],
  4: ["parameterized-access", sequence({ variableName: integer16, selector: unsigned8, parameter: data })],
});

export const readRequest = sequence({ variables: sequenceOf(variableAccess) });

export const readResponse = sequence({
  results: sequenceOf(
    choice("Read-Response", {
      0: ["data", sequence({ data })],
      1: ["data-access-error", sequence({ result: dataAccessResult })],
    }),
  ),
});

export const informationReport = sequence({
  currentTime: optional(octetString),
  variables: sequenceOf(variableAccess),
  data: sequenceOf(data),
});
