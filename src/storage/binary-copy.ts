import type { Cell, ColumnType, Table } from "../mapping/rows.ts";
import { NUMERIC_OCTETS_MAX, writeNumeric } from "./binary-numeric.ts";

/*
 * COPY … WITH (FORMAT binary): 11 octets of signature, flags and extension length (0), then for each row a 16-bit count of columns and
 * for each column a 32-bit length (−1: NULL) and its octets; at the end the count −1. PostgreSQL documentation, COPY, "Binary Format".
 * Chosen because neither side then turns numbers and instants into text and back.
 */
const SIGNATURE = Buffer.from("PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0", "latin1");
const TRAILER = Buffer.of(0xff, 0xff);
/** Microseconds from 1970 to 2000, where PostgreSQL's instants begin. */
const EPOCH_2000_MS = Date.UTC(2000, 0, 1);
const TWO_32 = 4_294_967_296;
const JSONB_VERSION = 1;
/** Copies of one table that are kept: as many as batches are in flight. */
const IDLE_MAX = 8;

/** Octets of a cell whose type has a fixed length, with the length; the others reserve their own. */
const FIXED_CELL_MAX = 20;
const FIRST_SIZE = 64 * 1024;

type ExtraColumn = { readonly name: string; readonly type: ColumnType };

/** Rows of one table in the making. Columns besides the table's own (`extra`) come last. */
export class BinaryCopy {
  readonly table: Table;
  readonly sql: string;
  private readonly types: readonly ColumnType[];
  private buffer = Buffer.allocUnsafe(FIRST_SIZE);
  private view = new DataView(this.buffer.buffer, this.buffer.byteOffset, this.buffer.length);
  private offset = SIGNATURE.copy(this.buffer);
  /** The last identifier and where its octets stand: the rows of a push have the same meter. */
  private lastUuid = "";
  private lastUuidAt = 0;

  constructor(table: Table, target: string = table.name, extra: readonly ExtraColumn[] = []) {
    const columns = [...table.columns, ...extra];
    this.table = table;
    this.types = columns.map(({ type }) => type);
    this.sql = `COPY ${target} (${columns.map(({ name }) => name).join(", ")}) FROM STDIN WITH (FORMAT binary)`;
  }

  /** Forgets all rows; what `finish` handed out may be overwritten from now on. */
  clear(): void {
    this.offset = SIGNATURE.length;
    this.lastUuid = "";
  }

  /** @throws RangeError or TypeError where a cell doesn't fit its column */
  append(cells: readonly Cell[], extra: readonly Cell[] = []): void {
    const { types } = this;
    const count = types.length;
    const own = count - extra.length;
    this.reserve(2 + count * FIXED_CELL_MAX);
    this.view.setInt16(this.offset, count);
    this.offset += 2;
    for (let index = 0; index < count; index += 1) {
      const cell = index < own ? cells[index] : extra[index - own];
      if (cell === null || cell === undefined) this.length(-1);
      // What comes behind a cell of any length has its room again.
      else if (this.cell(types[index]!, cell)) this.reserve((count - index) * FIXED_CELL_MAX);
    }
  }

  /** All that was appended, with the end of the format; a view until `clear` or the next row. */
  finish(): Buffer {
    this.reserve(TRAILER.length);
    TRAILER.copy(this.buffer, this.offset);
    return this.buffer.subarray(0, this.offset + TRAILER.length);
  }

  /** Whether the cell had no fixed length. */
  private cell(type: ColumnType, cell: NonNullable<Cell>): boolean {
    switch (type) {
      case "double precision":
        this.length(8);
        this.view.setFloat64(this.offset, typeof cell === "number" ? cell : Number(cell));
        this.offset += 8;
        return false;
      case "timestamptz":
        this.micros(Math.round((Number(cell) - EPOCH_2000_MS) * 1_000));
        return false;
      case "uuid":
        this.uuid(String(cell));
        return false;
      case "smallint":
        this.length(2);
        this.view.setInt16(this.offset, whole(cell, -32_768, 32_767));
        this.offset += 2;
        return false;
      case "integer":
        this.length(4);
        this.view.setInt32(this.offset, whole(cell, -2_147_483_648, 2_147_483_647));
        this.offset += 4;
        return false;
      case "bigint":
        if (typeof cell === "number" && Number.isSafeInteger(cell)) this.micros(cell);
        else this.bigint(BigInt(cell as number | bigint | string));
        return false;
      case "boolean":
        this.length(1);
        this.view.setUint8(this.offset, cell === true ? 1 : 0);
        this.offset += 1;
        return false;
      case "text":
        this.text(String(cell), false);
        return true;
      case "jsonb":
        this.text(String(cell), true);
        return true;
      case "bytea":
        this.octets(cell as Uint8Array);
        return true;
      case "numeric":
        this.reserve(NUMERIC_OCTETS_MAX);
        this.offset = writeNumeric(this.buffer, this.offset, cell as number | bigint | string);
        return true;
    }
  }

  private length(octets: number): void {
    this.view.setInt32(this.offset, octets);
    this.offset += 4;
  }

  /** A 64-bit integer that a number holds exactly. */
  private micros(value: number): void {
    if (!Number.isSafeInteger(value))
      throw new RangeError("an instant in milliseconds, or a whole number, is needed");
    this.length(8);
    const high = Math.floor(value / TWO_32);
    this.view.setInt32(this.offset, high);
    this.view.setUint32(this.offset + 4, value - high * TWO_32);
    this.offset += 8;
  }

  private bigint(value: bigint): void {
    if (BigInt.asIntN(64, value) !== value) throw new RangeError(`${value} is beyond 64 bits`);
    this.length(8);
    this.view.setBigInt64(this.offset, value);
    this.offset += 8;
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
    if (json) {
      this.view.setUint8(at, JSONB_VERSION);
      at += 1;
    }
    at += this.shortAscii(text, at) || this.buffer.write(text, at);
    this.view.setInt32(this.offset, at - start);
    this.offset = at;
  }

  /** `push`, `instant`: too short to be worth a call into the runtime. 0: it is none. */
  private shortAscii(text: string, at: number): number {
    if (text.length > 12) return 0;
    for (let index = 0; index < text.length; index += 1) {
      const code = text.charCodeAt(index);
      if (code > 0x7f) return 0;
      this.buffer[at + index] = code;
    }
    return text.length;
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
    this.view = new DataView(larger.buffer, larger.byteOffset, larger.length);
  }
}

function whole(cell: NonNullable<Cell>, from: number, to: number): number {
  const value = Number(cell);
  if (Number.isInteger(value) && value >= from && value <= to) return value;
  throw new RangeError(`${String(cell)} is no whole number from ${from} to ${to}`);
}

/** Copies of each table that wait for their next batch, so that a batch costs no new buffers. */
export class CopyPool {
  private readonly idle = new Map<Table, BinaryCopy[]>();

  take(table: Table): BinaryCopy {
    return this.idle.get(table)?.pop() ?? new BinaryCopy(table);
  }

  /** Only when nothing that `finish` handed out is on its way any more. */
  giveBack(copies: Iterable<BinaryCopy>): void {
    for (const copy of copies) {
      copy.clear();
      const idle = this.idle.get(copy.table);
      if (!idle) this.idle.set(copy.table, [copy]);
      else if (idle.length < IDLE_MAX) idle.push(copy);
    }
  }
}
