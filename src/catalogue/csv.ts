import { readFileSync } from "node:fs";
import { parse } from "csv-parse/sync";

/** A line of a CSV file that cannot be used. The message names file, line, column and what is wrong. */
export class CsvError extends Error {
  readonly file: string;
  readonly line: number;

  constructor(file: string, line: number, text: string) {
    super(`${file}, line ${line}: ${text}`);
    this.name = "CsvError";
    this.file = file;
    this.line = line;
  }
}

/** One line of a CSV file with a header, its fields by column name; every field read is checked. */
export class CsvLine {
  readonly file: string;
  readonly line: number;
  readonly #fields: Readonly<Record<string, string>>;

  constructor(file: string, line: number, fields: Readonly<Record<string, string>>) {
    this.file = file;
    this.line = line;
    this.#fields = fields;
  }

  fail(text: string): never {
    throw new CsvError(this.file, this.line, text);
  }

  /** null where the field is empty. */
  optional(column: string): string | null {
    const value = this.#fields[column];
    return value === undefined || value === "" ? null : value;
  }

  text(column: string): string {
    return this.optional(column) ?? this.fail(`${column} is empty`);
  }

  oneOf<T extends string>(column: string, allowed: readonly T[]): T {
    const value = this.text(column);
    const found = allowed.find((candidate) => candidate === value);
    return found ?? this.fail(`${column} is "${value}", which is none of ${allowed.join(", ")}`);
  }

  optionalInteger(column: string, from: number, to: number): number | null {
    const value = this.optional(column);
    if (value === null) return null;
    const number = Number(value);
    if (!/^-?\d+$/.test(value) || number < from || number > to)
      this.fail(`${column} is "${value}", not a whole number from ${from} to ${to}`);
    return number;
  }

  integer(column: string, from: number, to: number): number {
    return this.optionalInteger(column, from, to) ?? this.fail(`${column} is empty`);
  }

  /** An OBIS code as `a.b.c.d.e.f`, every group 0 … 255. */
  obis(column: string): string {
    return this.#obis(column, this.text(column));
  }

  /** Several words, separated by blanks; none where the field is empty. */
  words(column: string): string[] {
    return (this.optional(column) ?? "").split(" ").filter((word) => word !== "");
  }

  /** Several OBIS codes, separated by blanks; none where the field is empty. */
  obisCodes(column: string): string[] {
    return this.words(column).map((code) => this.#obis(column, code));
  }

  #obis(column: string, value: string): string {
    const groups = value.split(".");
    if (
      groups.length !== 6 ||
      groups.some((group) => !/^(0|[1-9]\d{0,2})$/.test(group) || Number(group) > 255)
    )
      this.fail(`${column} is "${value}", not an OBIS code like 1.0.1.8.0.255`);
    return value;
  }
}

/**
 * Lines of a CSV file whose header must be exactly `columns`. Lines that begin with # are comments.
 * @throws CsvError
 */
export function readCsv(path: string, name: string, columns: readonly string[]): CsvLine[] {
  let records: { record: string[]; info: { lines: number } }[];
  try {
    records = parse(readFileSync(path, "utf8"), {
      bom: true,
      trim: true,
      skip_empty_lines: true,
      comment: "#",
      comment_no_infix: true,
      relax_column_count: true,
      info: true,
    }) as unknown as typeof records;
  } catch (error) {
    const line = (error as { lines?: number }).lines ?? 0;
    throw new CsvError(name, line, (error as Error).message);
  }
  const [header, ...rest] = records;
  if (header === undefined || header.record.join() !== columns.join())
    throw new CsvError(name, header?.info.lines ?? 1, `the header must be ${columns.join(",")}`);
  return rest.map(({ record, info }) => {
    if (record.length !== columns.length)
      throw new CsvError(name, info.lines, `has ${record.length} fields, not ${columns.length}`);
    return new CsvLine(name, info.lines, Object.fromEntries(columns.map((c, i) => [c, record[i] ?? ""])));
  });
}
