import type { Cell, ColumnType, Table } from "../mapping/rows.ts";
import { NUMERIC_OCTETS_MAX, writeNumeric } from "./binary-numeric.ts";
import { UuidOctets } from "./uuid-octets.ts";

/*
 * COPY … WITH (FORMAT binary): 11 octets of signature, flags and extension length (0), then for each row a 16-bit count of columns and
 * for each column a 32-bit length (−1: NULL) and its octets; at the end the count −1. PostgreSQL documentation, COPY, "Binary Format".
 * Chosen because neither side then turns numbers and instants into text and back.
 */
const SIGNATURE = Buffer.from("PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0", "latin1");
/** Count −1: the end of the format. */
const END = 2;
/*
 * The messages of the frontend that carry it: CopyData, "d", length, octets; CopyDone, "c", length.
 */
const COPY_DATA = 0x64;
const COPY_DONE = 0x63;
const MESSAGE_HEADER = 5;
const LENGTH_FIELD = 4;
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

/** Column types as numbers, which a switch tells apart by one jump. */
const TYPE_CODES: Readonly<Record<ColumnType, number>> = {
  "double precision": 0,
  timestamptz: 1,
  uuid: 2,
  smallint: 3,
  integer: 4,
  bigint: 5,
  boolean: 6,
  text: 7,
  jsonb: 8,
  bytea: 9,
  numeric: 10,
};
const NULL_LENGTH = -1;

/** Shared by all copies: a push is written table by table, and all its rows are of one meter. */
const uuidOctets = new UuidOctets();

/** Rows of one table in the making, within the messages that carry them. Columns besides the table's own (`extra`) come last. */
export class BinaryCopy {
  readonly table: Table;
  readonly sql: string;
  private readonly types: readonly number[];
  private buffer = Buffer.allocUnsafeSlow(FIRST_SIZE);
  private view = new DataView(this.buffer.buffer);
  private offset = MESSAGE_HEADER + SIGNATURE.copy(this.buffer, MESSAGE_HEADER);

  constructor(table: Table, target: string = table.name, extra: readonly ExtraColumn[] = []) {
    const columns = [...table.columns, ...extra];
    this.table = table;
    this.types = columns.map(({ type }) => TYPE_CODES[type]);
    this.sql = `COPY ${target} (${columns.map(({ name }) => name).join(", ")}) FROM STDIN WITH (FORMAT binary)`;
  }

  /** Forgets all rows; what `finish` and `messages` handed out may be overwritten from now on. */
  clear(): void {
    this.offset = MESSAGE_HEADER + SIGNATURE.length;
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
      if (cell === null || cell === undefined) this.length(NULL_LENGTH);
      // What comes behind a cell of any length has its room again.
      else if (this.cell(types[index]!, cell)) this.reserve((count - index) * FIXED_CELL_MAX);
    }
  }

  /** All that was appended, with the end of the format; a view until `clear` or the next row. */
  finish(): Buffer {
    return this.buffer.subarray(MESSAGE_HEADER, this.end());
  }

  /** The same as the messages CopyData and CopyDone, ready for the socket. */
  messages(): Buffer {
    const end = this.end();
    this.view.setUint8(0, COPY_DATA);
    this.view.setInt32(1, end - 1);
    this.view.setUint8(end, COPY_DONE);
    this.view.setInt32(end + 1, LENGTH_FIELD);
    return this.buffer.subarray(0, end + MESSAGE_HEADER);
  }

  /** Writes the end of the format, with room for CopyDone behind it. */
  private end(): number {
    this.reserve(END + MESSAGE_HEADER);
    this.view.setInt16(this.offset, -1);
    return this.offset + END;
  }

  /** Whether the cell had no fixed length. */
  private cell(type: number, cell: NonNullable<Cell>): boolean {
    switch (type) {
      case 0:
        this.length(8);
        this.view.setFloat64(this.offset, typeof cell === "number" ? cell : Number(cell));
        this.offset += 8;
        return false;
      case 1:
        this.micros(Math.round((Number(cell) - EPOCH_2000_MS) * 1_000));
        return false;
      case 2:
        this.uuid(String(cell));
        return false;
      case 3:
        this.length(2);
        this.view.setInt16(this.offset, whole(cell, -32_768, 32_767));
        this.offset += 2;
        return false;
      case 4:
        this.length(4);
        this.view.setInt32(this.offset, whole(cell, -2_147_483_648, 2_147_483_647));
        this.offset += 4;
        return false;
      case 5:
        if (typeof cell === "number" && Number.isSafeInteger(cell)) this.micros(cell);
        else this.bigint(BigInt(cell as number | bigint | string));
        return false;
      case 6:
        this.length(1);
        this.view.setUint8(this.offset, cell === true ? 1 : 0);
        this.offset += 1;
        return false;
      case 7:
        this.text(String(cell), false);
        return true;
      case 8:
        this.text(String(cell), true);
        return true;
      case 9:
        if (typeof cell === "string") this.latin1(cell);
        else this.octets(cell as Uint8Array);
        return true;
      default:
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
    uuidOctets.read(text);
    const { view, offset } = this;
    view.setInt32(offset, 16);
    view.setInt32(offset + 4, uuidOctets.a);
    view.setInt32(offset + 8, uuidOctets.b);
    view.setInt32(offset + 12, uuidOctets.c);
    view.setInt32(offset + 16, uuidOctets.d);
    this.offset = offset + 20;
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

  /** Octets that are kept as a text, a character each. */
  private latin1(octets: string): void {
    this.reserve(octets.length + 4);
    this.length(octets.length);
    for (let index = 0; index < octets.length; index += 1) {
      this.buffer[this.offset + index] = octets.charCodeAt(index);
    }
    this.offset += octets.length;
  }

  private octets(value: Uint8Array): void {
    this.reserve(value.length + 4);
    this.length(value.length);
    this.buffer.set(value, this.offset);
    this.offset += value.length;
  }

  private reserve(octets: number): void {
    if (this.offset + octets <= this.buffer.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(this.buffer.length * 2, this.offset + octets));
    this.buffer.copy(larger, 0, 0, this.offset);
    this.buffer = larger;
    this.view = new DataView(larger.buffer);
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
