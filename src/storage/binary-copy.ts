import type { Cell, ColumnType, Table } from "../mapping/rows.ts";
import { writeNumeric } from "./binary-numeric.ts";

/*
 * COPY … WITH (FORMAT binary): 11 octets of signature, flags and extension length (0), then for each row a 16-bit count of columns and
 * for each column a 32-bit length (−1: NULL) and its octets; at the end the count −1. PostgreSQL documentation, COPY, "Binary Format".
 * Chosen by measurement: against the text format it costs PostgreSQL about a third less, and Node less than half.
 */
const SIGNATURE = Buffer.from("PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0", "latin1");
const TRAILER = Buffer.of(0xff, 0xff);
/** Microseconds from 1970 to 2000, where PostgreSQL's instants begin. */
const EPOCH_2000_MS = Date.UTC(2000, 0, 1);
const TWO_32 = 4_294_967_296;

/** Where a row began, so that it can be taken back. */
export interface Mark {
  readonly offset: number;
  readonly rows: number;
}

/** Rows of one table in the making. Columns besides the table's own (`extra`) come last. */
export class BinaryCopy {
  readonly name: string;
  readonly sql: string;
  rows = 0;
  private readonly types: readonly ColumnType[];
  private buffer: Buffer;
  private offset: number;
  /** The last identifier and where its octets stand: the rows of a push have the same meter. */
  private lastUuid = "";
  private lastUuidAt = 0;

  constructor(
    table: Table,
    target: string = table.name,
    extra: readonly { name: string; type: ColumnType }[] = [],
  ) {
    const columns = [...table.columns, ...extra];
    this.name = table.name;
    this.types = columns.map(({ type }) => type);
    this.sql = `COPY ${target} (${columns.map(({ name }) => name).join(", ")}) FROM STDIN WITH (FORMAT binary)`;
    this.buffer = Buffer.allocUnsafe(64 * 1024);
    this.offset = SIGNATURE.copy(this.buffer);
  }

  mark(): Mark {
    return { offset: this.offset, rows: this.rows };
  }

  /** Takes back everything that was appended since. */
  reset({ offset, rows }: Mark): void {
    this.offset = offset;
    this.rows = rows;
    if (this.lastUuidAt >= offset) this.lastUuid = "";
  }

  /** @throws RangeError or TypeError where a cell doesn't fit its column */
  append(cells: readonly Cell[], extra: readonly Cell[] = []): void {
    const { types } = this;
    const own = types.length - extra.length;
    this.reserve(2);
    this.offset = this.buffer.writeInt16BE(types.length, this.offset);
    for (let index = 0; index < types.length; index += 1) {
      const cell = index < own ? cells[index] : extra[index - own];
      this.reserve(64);
      if (cell === null || cell === undefined) this.offset = this.buffer.writeInt32BE(-1, this.offset);
      else this.cell(types[index]!, cell);
    }
    this.rows += 1;
  }

  /** All that was appended, with the end of the format. The next append overwrites it. */
  finish(): Buffer {
    this.reserve(TRAILER.length);
    TRAILER.copy(this.buffer, this.offset);
    return this.buffer.subarray(0, this.offset + TRAILER.length);
  }

  private cell(type: ColumnType, cell: NonNullable<Cell>): void {
    switch (type) {
      case "double precision":
        this.length(8);
        this.offset = this.buffer.writeDoubleBE(Number(cell), this.offset);
        return;
      case "timestamptz":
        this.instant(cell);
        return;
      case "uuid":
        this.uuid(String(cell));
        return;
      case "text":
        this.text(String(cell), false);
        return;
      case "jsonb":
        this.text(String(cell), true);
        return;
      case "smallint":
        this.length(2);
        this.offset = this.buffer.writeInt16BE(whole(cell), this.offset);
        return;
      case "integer":
        this.length(4);
        this.offset = this.buffer.writeInt32BE(whole(cell), this.offset);
        return;
      case "bigint":
        this.length(8);
        this.offset = this.buffer.writeBigInt64BE(BigInt(cell as number | bigint | string), this.offset);
        return;
      case "boolean":
        this.length(1);
        this.offset = this.buffer.writeUInt8(cell === true ? 1 : 0, this.offset);
        return;
      case "bytea":
        this.octets(cell as Uint8Array);
        return;
      case "numeric":
        this.reserve(256);
        this.offset = writeNumeric(this.buffer, this.offset, cell as number | bigint | string);
        return;
    }
  }

  private length(octets: number): void {
    this.offset = this.buffer.writeInt32BE(octets, this.offset);
  }

  private instant(cell: NonNullable<Cell>): void {
    const micros = Math.round((Number(cell) - EPOCH_2000_MS) * 1_000);
    if (!Number.isSafeInteger(micros)) throw new RangeError(`${String(cell)} is no instant in milliseconds`);
    this.length(8);
    const high = Math.floor(micros / TWO_32);
    this.offset = this.buffer.writeInt32BE(high, this.offset);
    this.offset = this.buffer.writeUInt32BE(micros - high * TWO_32, this.offset);
  }

  private uuid(text: string): void {
    this.length(16);
    if (text === this.lastUuid) {
      this.buffer.copyWithin(this.offset, this.lastUuidAt, this.lastUuidAt + 16);
    } else {
      const written = this.buffer.write(text.replaceAll("-", ""), this.offset, 16, "hex");
      if (written !== 16) throw new TypeError(`${text} is no uuid`);
      this.lastUuid = text;
      this.lastUuidAt = this.offset;
    }
    this.offset += 16;
  }

  /** PostgreSQL's text can't hold NUL, which meters pad their texts with: it becomes U+FFFD. */
  private text(given: string, json: boolean): void {
    const text = given.includes("\0") ? given.replaceAll("\0", "\ufffd") : given;
    this.reserve(text.length * 3 + 8);
    const start = this.offset + 4;
    let at = start;
    if (json) at = this.buffer.writeUInt8(1, at);
    at += this.buffer.write(text, at);
    this.buffer.writeInt32BE(at - start, this.offset);
    this.offset = at;
  }

  private octets(value: Uint8Array): void {
    this.reserve(value.length + 4);
    this.length(value.length);
    this.buffer.set(value, this.offset);
    this.offset += value.length;
  }

  private reserve(octets: number): void {
    if (this.offset + octets <= this.buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.buffer.length * 2, this.offset + octets));
    this.buffer.copy(larger, 0, 0, this.offset);
    this.buffer = larger;
  }
}

function whole(cell: NonNullable<Cell>): number {
  const value = Number(cell);
  if (!Number.isInteger(value)) throw new RangeError(`${String(cell)} is no whole number`);
  return value;
}
