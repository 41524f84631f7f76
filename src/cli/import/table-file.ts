import { createSecretKey, type KeyObject } from "node:crypto";
import { readFileSync } from "node:fs";
import { parse } from "csv-parse/sync";
import { EXIT, UserError } from "../../exit.ts";

/** What a CSV file must and may have as columns; the order in the file is the user's. */
export interface TableColumns {
  readonly required: readonly string[];
  readonly optional: readonly string[];
  /** Other spellings of columns, by spelling. */
  readonly aliases?: Readonly<Record<string, string>>;
}

/** Collects what is wrong with all lines, so that a user mends a file in one go. */
export class TableFile {
  readonly name: string;
  readonly lines: readonly TableLine[];
  readonly #problems: { line: number; text: string }[] = [];

  constructor(name: string, text: string, columns: TableColumns) {
    this.name = name;
    this.lines = this.#read(text, columns);
  }

  /** @throws UserError with exit code 65 that names every bad line, where there is any */
  finish(): void {
    if (this.#problems.length === 0) return;
    const shown = this.#problems.slice(0, 20).map(({ line, text }) => `  line ${line}: ${text}`);
    const more = this.#problems.length > 20 ? [`  … and ${this.#problems.length - 20} more`] : [];
    throw new UserError(
      EXIT.data,
      [`${this.name} can't be imported, nothing was changed:`, ...shown, ...more].join("\n"),
    );
  }

  problem(line: number, text: string): void {
    this.#problems.push({ line, text });
  }

  #read(text: string, { required, optional, aliases = {} }: TableColumns): TableLine[] {
    const records = this.#records(text);
    const [header, ...rows] = records;
    const names = (header?.record ?? []).map((name) => {
      const plain = name
        .trim()
        .toLowerCase()
        .replaceAll(/[\s-]+/g, "_");
      return aliases[plain] ?? plain;
    });
    const known = [...required, ...optional];
    const unknown = names.filter((name) => !known.includes(name));
    const missing = required.filter((name) => !names.includes(name));
    const twice = names.filter((name, index) => names.indexOf(name) !== index);
    if (unknown.length > 0)
      this.problem(1, `no such column: ${unknown.join(", ")}; there are ${known.join(", ")}`);
    if (missing.length > 0) this.problem(1, `the header must name the column ${missing.join(", ")}`);
    if (twice.length > 0) this.problem(1, `the header names ${twice.join(", ")} twice`);
    if (unknown.length + missing.length + twice.length > 0) return [];
    return rows.flatMap(({ record, info }) => {
      if (record.length > names.length) {
        this.problem(info.lines, `has ${record.length} fields, the header ${names.length}`);
        return [];
      }
      const fields = new Map(names.map((name, index) => [name, (record[index] ?? "").trim()]));
      return [new TableLine(this, info.lines, fields)];
    });
  }

  #records(text: string): { record: string[]; info: { lines: number } }[] {
    try {
      return parse(text, {
        bom: true,
        info: true,
        relax_column_count: true,
        skip_records_with_empty_values: true,
        comment: "#",
        comment_no_infix: true,
      }) as unknown as { record: string[]; info: { lines: number } }[];
    } catch (error) {
      const { lines = 1, message } = error as Error & { lines?: number };
      this.problem(lines, message);
      return [];
    }
  }
}

/** One line; a field that can't be used is reported and read as its default, so that the rest of the line is checked as well. */
export class TableLine {
  readonly #file: TableFile;
  readonly number: number;
  readonly #fields: ReadonlyMap<string, string>;

  constructor(file: TableFile, number: number, fields: ReadonlyMap<string, string>) {
    this.#file = file;
    this.number = number;
    this.#fields = fields;
  }

  problem(text: string): void {
    this.#file.problem(this.number, text);
  }

  text(column: string): string | null {
    return this.#fields.get(column) || null;
  }

  required(column: string): string {
    const value = this.text(column);
    if (value === null) this.problem(`${column} is empty`);
    return value ?? "";
  }

  oneOf<const T extends string>(column: string, allowed: readonly T[], fallback: T): T {
    const value = this.text(column)?.toLowerCase();
    if (value === undefined) return fallback;
    const found = allowed.find((candidate) => candidate === value);
    if (found === undefined) this.problem(`${column} is "${value}", which is none of ${allowed.join(", ")}`);
    return found ?? fallback;
  }

  integer(column: string, from: number, to: number): number | null {
    const value = this.text(column);
    if (value === null) return null;
    const number = Number(value);
    if (/^[+-]?\d+$/.test(value) && number >= from && number <= to) return number;
    this.problem(`${column} is "${value}", not a whole number from ${from} to ${to}`);
    return null;
  }

  /** Hex digits, blanks and colons between them allowed; lower case. */
  hex(column: string, octets: number): string | null {
    const value = this.text(column);
    if (value === null) return null;
    const digits = value.replaceAll(/[\s:]/g, "").toLowerCase();
    if (/^[0-9a-f]*$/.test(digits) && digits.length === 2 * octets) return digits;
    this.problem(`${column} must be ${2 * octets} hex digits, and has ${digits.length} characters`);
    return null;
  }

  /** A key of 16 or 32 octets: hex, or `text:` and characters. What it is never goes into a message. */
  key(column: string, octets: readonly number[]): KeyObject | null {
    const value = this.text(column);
    if (value === null) return null;
    const key = keyOctets(value);
    if (key !== null && octets.includes(key.length)) return sealed(key);
    const given = key === null ? "neither hex digits nor text:…" : `${key.length} octets long`;
    this.problem(`${column} must be ${octets.join(" or ")} octets, in hex or as text:…; it is ${given}`);
    return null;
  }

  /** A password or secret of any length up to 64 octets, in the same notation. */
  secret(column: string): KeyObject | null {
    const value = this.text(column);
    if (value === null) return null;
    const octets = keyOctets(value);
    if (octets !== null && octets.length > 0 && octets.length <= 64) return sealed(octets);
    this.problem(`${column} must be 1 to 64 octets, in hex or as text:…`);
    return null;
  }
}

function keyOctets(value: string): Buffer | null {
  if (value.startsWith("text:")) return Buffer.from(value.slice("text:".length), "utf8");
  const digits = value.replace(/^0x/i, "").replaceAll(/[\s:]/g, "");
  return /^([0-9a-fA-F]{2})+$/.test(digits) ? Buffer.from(digits, "hex") : null;
}

/** From here on the key is an object that no log and no JSON can print. */
function sealed(octets: Buffer): KeyObject {
  const key = createSecretKey(octets);
  octets.fill(0);
  return key;
}

/** The text of a file, or of standard input for `-`. */
export function readText(path: string): string {
  try {
    return readFileSync(path === "-" ? 0 : path, "utf8");
  } catch (error) {
    throw new UserError(EXIT.data, `${path} can't be read: ${(error as Error).message}`, { cause: error });
  }
}
