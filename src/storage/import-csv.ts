import { parse } from "csv-parse/sync";
import { EXIT, UserError } from "../exit.ts";

/** One line of an imported file: its cells by column, empty ones left out. */
export interface CsvLine {
  readonly number: number;
  readonly cells: ReadonlyMap<string, string>;
}

/** Collects what is wrong with a file, so that its author sees everything at once. */
export class ImportProblems {
  private readonly problems: { line: number; text: string }[] = [];

  add(line: number, text: string): void {
    this.problems.push({ line, text });
  }

  /** @throws UserError with one line for each problem, the first 50 */
  throwIfAny(): void {
    if (this.problems.length === 0) return;
    const sorted = [...this.problems].sort((a, b) => a.line - b.line);
    const shown = sorted.slice(0, 50).map(({ line, text }) => `  line ${line}: ${text}`);
    const more = sorted.length > shown.length ? [`  and ${sorted.length - shown.length} more`] : [];
    throw new UserError(EXIT.data, ["Nothing was imported:", ...shown, ...more].join("\n"));
  }
}

/**
 * Lines of a CSV file with a header.
 * @throws UserError where it is no CSV, a column isn't known, or one of `required` is missing
 */
export function readCsvLines(text: string, known: readonly string[], required: readonly string[]): CsvLine[] {
  const records = parseRecords(text);
  const [head, ...body] = records;
  const problems = new ImportProblems();
  const columns = (head?.record ?? []).map((name) => name.trim().toLowerCase());
  for (const name of columns) {
    if (!known.includes(name))
      problems.add(1, `no column is called "${name}"; there are ${known.join(", ")}`);
  }
  for (const name of required) {
    if (!columns.includes(name)) problems.add(1, `the column ${name} is missing`);
  }
  problems.throwIfAny();
  return body.map(({ record, info }) => ({
    number: info.lines,
    cells: new Map(
      record.flatMap((cell, index): [string, string][] =>
        cell.trim() === "" || columns[index] === undefined ? [] : [[columns[index], cell.trim()]],
      ),
    ),
  }));
}

interface ParsedRecord {
  readonly record: string[];
  readonly info: { readonly lines: number };
}

function parseRecords(text: string): ParsedRecord[] {
  try {
    return parse(text, {
      bom: true,
      info: true,
      skip_empty_lines: true,
      comment: "#",
      comment_no_infix: true,
    }) as unknown as ParsedRecord[];
  } catch (error) {
    const { lines, message } = error as { lines?: number; message: string };
    throw new UserError(EXIT.data, `Nothing was imported:\n  line ${lines ?? 1}: ${message}`, {
      cause: error,
    });
  }
}
