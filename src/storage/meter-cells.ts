import { parseSecret } from "../keys/secret-text.ts";
import type { CsvLine, ImportProblems } from "./import-csv.ts";

/** Bits of the security control octet by the words of the import file. */
const PROTECTION: Record<string, number> = {
  none: 0,
  authenticated: 0x10,
  encrypted: 0x20,
  "authenticated+encrypted": 0x30,
};

/** Two colons at least, with a zone or without. */
const IPV6 = /^[0-9a-f.]*(:[0-9a-f.]*){2,7}(%\w+)?$/i;

/** Reads the cells of one line; what is wrong goes to `problems`, and the cell counts as empty. */
export class LineReader {
  readonly line: CsvLine;
  private readonly problems: ImportProblems;

  constructor(line: CsvLine, problems: ImportProblems) {
    this.line = line;
    this.problems = problems;
  }

  fail(text: string): null {
    this.problems.add(this.line.number, text);
    return null;
  }

  text(column: string): string | null {
    return this.line.cells.get(column) ?? null;
  }

  required(column: string): string {
    return this.text(column) ?? this.fail(`${column} is empty`) ?? "";
  }

  oneOf(column: string, values: readonly string[]): string | null {
    const value = this.text(column)?.toLowerCase() ?? null;
    if (value === null || values.includes(value)) return value;
    return this.fail(`${column} is "${value}"; it can be ${values.join(", ")}`);
  }

  integer(column: string, from: number, to: number): number | null {
    const text = this.text(column);
    if (text === null) return null;
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= from && value <= to) return value;
    return this.fail(`${column} is "${text}"; it must be a number from ${from} to ${to}`);
  }

  /** An address or a name, or where `isPath` the path of a serial line; "[::1]", as addresses with a port are written, is ::1. */
  host(column: string): string | null {
    const text = this.text(column);
    if (text === null || text.startsWith("/")) return text;
    const address = /^\[(.*)\]$/.exec(text)?.[1] ?? text;
    if (!address.includes(":") || IPV6.test(address)) return address;
    return this.fail(
      `${column} is "${text}"; it must be an address or a name, with the port in its own column`,
    );
  }

  /** 24 conformance bits in hex, as they stand in an InitiateResponse behind 5F1F0400. */
  conformance(column: string): number | null {
    const text = this.text(column);
    if (text === null) return null;
    const value = Number.parseInt(text, 16);
    if (/^[0-9a-f]{6}$/i.test(text) && value > 0) return value;
    return this.fail(`${column} is "${text}"; it must be 24 bits as 6 hex digits, such as 001E1D`);
  }

  protection(column: string): number | null {
    const text = this.oneOf(column, Object.keys(PROTECTION));
    return text === null ? null : PROTECTION[text]!;
  }

  systemTitle(column: string): string | null {
    const text = this.text(column);
    if (text === null) return null;
    const octets = this.octets(column);
    if (octets === null) return null;
    if (octets.length === 8) return octets.toString("hex");
    return this.fail(`${column} has ${octets.length} octets; a system title has 8`);
  }

  /** Octets of a key or secret. Its text is never repeated in a message. */
  octets(column: string): Buffer | null {
    const text = this.text(column);
    if (text === null) return null;
    try {
      return parseSecret(text);
    } catch (error) {
      return this.fail(`${column}: ${(error as Error).message}`);
    }
  }

  key(column: string, length: number, why: string): Buffer | null {
    const octets = this.octets(column);
    if (octets === null || octets.length === length) return octets;
    return this.fail(`${column} has ${octets.length} octets; ${why} takes ${length}`);
  }

  timeZone(column: string): string | null {
    const name = this.text(column);
    if (name === null) return null;
    try {
      return new Intl.DateTimeFormat("en", { timeZone: name }).resolvedOptions().timeZone && name;
    } catch {
      return this.fail(`${column} is "${name}"; it must be a name such as Asia/Kolkata`);
    }
  }
}
