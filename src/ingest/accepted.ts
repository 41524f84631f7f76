import type { CaptureList } from "../mapping/captured.ts";
import { type Cell, PUSH_HISTORY, RAW_FRAMES, type Row, type Table } from "../mapping/rows.ts";
import type { AcceptedPush, CounterMove, QuarantineReason } from "../storage/accepted-push.ts";
import type { MeterRecord } from "../storage/meter-record.ts";
import type { Arrival } from "./arrival.ts";

/** How a frame was protected, once that is known to be right. */
export interface Protection {
  readonly keyId: number;
  readonly systemTitle: string;
  readonly control: number;
  readonly counter: number;
  /** Whether a tag was checked; false where it was only encrypted. */
  readonly verified: boolean;
  readonly digest: Buffer;
}

/** All that is known of a push when it is accepted. */
export interface Acceptance {
  readonly arrival: Arrival;
  readonly meter: MeterRecord;
  /** null: nothing protected it. */
  readonly protection: Protection | null;
  readonly counter: CounterMove | null;
  readonly list: CaptureList | null;
  readonly rows: Row[];
  readonly valueCount: number;
  readonly quarantine: QuarantineReason | null;
}

function cells(table: Table, values: Record<string, Cell>): Cell[] {
  const filled: Cell[] = new Array(table.columns.length).fill(null);
  for (const name in values) filled[table.position.get(name)!] = values[name];
  return filled;
}

/** The rows of a push together with its history and its frame. Nothing in it is a view of what was received. */
export function acceptedPush(acceptance: Acceptance, nowMs: number): AcceptedPush {
  const { arrival, meter, protection, counter, list, rows, valueCount, quarantine } = acceptance;
  const history = cells(PUSH_HISTORY, {
    started_at: arrival.receivedAtMs,
    finished_at: nowMs,
    meter_id: meter.id,
    kind: "push",
    verdict: quarantine === null ? "applied" : "quarantined",
    push_setup_id: list?.record?.setupId ?? null,
    push_object_id: list?.record?.id ?? null,
    attempt: 1,
    value_count: valueCount,
    row_count: rows.length,
    octet_count: arrival.apdu.length,
    invocation_counter: protection?.counter ?? null,
    key_id: protection?.keyId ?? null,
    digest: protection?.digest ?? null,
    error: quarantine?.text ?? null,
  });
  const frame = cells(RAW_FRAMES, {
    received_at: arrival.receivedAtMs,
    meter_id: meter.id,
    peer: arrival.peer,
    framing: arrival.framing,
    apdu: Buffer.from(arrival.apdu),
    invocation_counter: protection?.counter ?? null,
    key_id: protection?.keyId ?? null,
    security_control: protection?.control ?? null,
    verified: protection?.verified ?? false,
  });
  return {
    meterId: meter.id,
    rows,
    history: { table: PUSH_HISTORY, cells: history },
    frame: { table: RAW_FRAMES, cells: frame },
    counter,
    quarantine,
  };
}
