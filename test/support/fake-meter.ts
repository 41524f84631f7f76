import { formatObis, obisToOctets, parseObis } from "../../src/dlms/cosem/obis-code.ts";
import { readSelection } from "../../src/dlms/cosem/selective-access.ts";
import type { Data } from "../../src/dlms/encoding/data-types.ts";
import {
  type MeterAssociation,
  type MeterRoads,
  type OpenOptions,
  PollError,
  type PollFailure,
  type ReadOutcome,
  type ReadRequest,
} from "../../src/polling/meter-association.ts";

/*
 * Meters that answer at once, without a line: what a poll is given is laid by hand here. Times are octets of the clock in India (UTC+5:30,
 * deviation FEB6) as DLMS-FACTS section 5 has them.
 */

const MINUTE = 60_000;
const INDIA = 330 * MINUTE;

export const u16 = (value: number): Data => ({ type: "long-unsigned", value });
export const u32 = (value: number): Data => ({ type: "double-long-unsigned", value });
export const structure = (...value: Data[]): Data => ({ type: "structure", value });
export const array = (...value: Data[]): Data => ({ type: "array", value });
const refused: ReadOutcome = { kind: "refused", result: "object-undefined" };

/** The twelve octets of the clock in India at an instant. */
export function indianClock(ms: number): Data {
  const at = new Date(ms + INDIA);
  const octets = Buffer.from([
    0,
    0,
    at.getUTCMonth() + 1,
    at.getUTCDate(),
    0xff,
    at.getUTCHours(),
    at.getUTCMinutes(),
    0,
    0,
    0xfe,
    0xb6,
    0,
  ]);
  octets.writeUInt16BE(at.getUTCFullYear(), 0);
  return { type: "octet-string", value: octets };
}

function indianInstant(data: Data): number {
  const o = data.value as Buffer;
  return Date.UTC(o.readUInt16BE(0), o[2]! - 1, o[3]!, o[5]!, o[6]!, o[7]!) - INDIA;
}

const captureObject = (classId: number, code: string, attribute: number): Data =>
  structure(
    u16(classId),
    { type: "octet-string", value: obisToOctets(parseObis(code)) },
    { type: "integer", value: attribute },
    u16(0),
  );

const scalerUnit = (scaler: number, unit: number): Data =>
  structure({ type: "integer", value: scaler }, { type: "enum", value: unit });

export const BLOCK_LOAD = "1.0.99.1.0.255";
const V = 35;
const WH = 30;

export class FakeMeter {
  /** Capture times of the block load profile; a value is made of each. */
  readonly captures: number[] = [];
  /** Objects by `class/code/attribute`. */
  readonly objects = new Map<string, Data>();
  /** What was read, as `code/attribute`, ranges as their ends. */
  readonly reads: string[] = [];
  opened = 0;
  ranges = true;
  /** Whether rows can be chosen by their place, and whether the first is the newest. */
  entries = false;
  newestFirst = false;
  /** The link breaks at this read, counted from the next; null: it holds. */
  breaksAt: number | null = null;
  /** Opening fails like this. */
  failure: PollFailure | null = null;
  /** Held back while something waits. */
  hold: Promise<void> | null = null;

  constructor() {
    this.objects.set(`7/${BLOCK_LOAD}/4`, u32(1_800));
    this.objects.set(`7/${BLOCK_LOAD}/8`, u32(35 * 48));
    this.objects.set(
      `7/${BLOCK_LOAD}/3`,
      array(
        captureObject(8, "0.0.1.0.0.255", 2),
        captureObject(3, "1.0.12.27.0.255", 2),
        captureObject(3, "1.0.1.29.0.255", 2),
      ),
    );
    this.objects.set("3/1.0.12.27.0.255/3", scalerUnit(-2, V));
    this.objects.set("3/1.0.1.29.0.255/3", scalerUnit(1, WH));
  }

  open({ signal }: OpenOptions, meterId: string): MeterAssociation {
    signal?.throwIfAborted();
    if (this.failure !== null) throw new PollError(this.failure, `the test says ${this.failure}`);
    this.opened++;
    return {
      meterId,
      clientSap: 32,
      conformance: 0,
      meterSystemTitle: null,
      read: async (requests) => {
        await this.hold;
        signal?.throwIfAborted();
        return requests.map((request) => this.read(request));
      },
      write: async () => [],
      invoke: async () => [],
      release: async () => {},
    } as MeterAssociation;
  }

  private read({ attribute, selection }: ReadRequest): ReadOutcome {
    if (this.breaksAt !== null && this.breaksAt-- === 0) {
      this.breaksAt = null;
      throw new PollError("connection-lost", "the test breaks the link");
    }
    const code = formatObis(attribute.instanceId);
    const key = `${attribute.classId}/${code}/${attribute.attributeId}`;
    if (key === `7/${BLOCK_LOAD}/2`) return this.buffer(selection);
    this.reads.push(`${code}/${attribute.attributeId}`);
    if (key === `7/${BLOCK_LOAD}/7`) return { kind: "data", value: u32(this.captures.length) };
    if (key === `7/${BLOCK_LOAD}/5`) {
      return { kind: "data", value: { type: "enum", value: this.newestFirst ? 2 : 1 } };
    }
    const value = this.objects.get(key);
    return value === undefined ? refused : { kind: "data", value };
  }

  private buffer(selection: ReadRequest["selection"]): ReadOutcome {
    if (!selection) {
      this.reads.push(`${BLOCK_LOAD}/2`);
      return this.rows(this.captures);
    }
    const wanted = readSelection(selection);
    if (wanted.kind === "range" ? !this.ranges : !this.entries) {
      return { kind: "refused", result: "scope-of-access-violated" };
    }
    if (wanted.kind === "entry") {
      const { fromEntry, toEntry } = wanted;
      this.reads.push(`${fromEntry}…${toEntry}`);
      const placed = this.newestFirst ? this.captures.toReversed() : this.captures;
      return this.rows(placed.slice(fromEntry - 1, toEntry));
    }
    const [from, until] = [indianInstant(wanted.fromValue), indianInstant(wanted.toValue)];
    this.reads.push(`${new Date(from).toISOString()}…${new Date(until).toISOString()}`);
    return this.rows(this.captures.filter((at) => at >= from && at <= until));
  }

  private rows(captures: readonly number[]): ReadOutcome {
    const rows = captures.map((at) =>
      structure(indianClock(at), u16(23_000 + ((at / 1_800_000) % 48)), u32(7)),
    );
    return { kind: "data", value: array(...rows) };
  }
}

/** Roads to fake meters by the id of their row. */
export class FakeRoads implements MeterRoads {
  readonly meters = new Map<string, FakeMeter>();
  readonly opened: string[] = [];

  async open(meterId: string, options: OpenOptions): Promise<MeterAssociation> {
    const meter = this.meters.get(meterId);
    if (meter === undefined) throw new PollError("not-configured", "nothing says how to reach it");
    this.opened.push(`${options.purpose} ${options.clientSap}`);
    return meter.open(options, meterId);
  }
}
