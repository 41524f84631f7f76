import { type FrameDigest, frameDigest } from "../dlms/security/invocation-counter.ts";
import type { CaptureList } from "../mapping/captured.ts";
import { type Cell, PUSH_HISTORY, RAW_FRAMES, type Row, type Table } from "../mapping/rows.ts";
import type { AcceptedPush, CounterMove, QuarantineReason } from "../storage/accepted-push.ts";
import type { CounterName } from "../storage/counter-name.ts";
import type { Arrival } from "./arrival.ts";

/** How a frame was protected, once that is known to be right. */
export interface Protection {
  /** The counter that it counts on. */
  readonly name: CounterName;
  readonly control: number;
  readonly counter: number;
  /** Whether a tag was checked; false where it was only encrypted. */
  readonly verified: boolean;
  readonly digest: FrameDigest;
}

/** A push that is accepted: whose it is, that it is authentic and that its counter is right. This is never looked at again. */
export interface Acceptance {
  readonly arrival: Arrival;
  readonly meterId: string;
  /** null: nothing protected it. */
  readonly protection: Protection | null;
  readonly counter: CounterMove | null;
  /** Why it is kept aside whatever its body says. */
  readonly setAside: QuarantineReason | null;
}

/** What an accepted push says. */
export interface Contents {
  readonly list: CaptureList | null;
  readonly rows: Row[];
  readonly valueCount: number;
  readonly quarantine: QuarantineReason | null;
}

const at = (table: Table, name: string) => table.position.get(name)!;
const H = {
  startedAt: at(PUSH_HISTORY, "started_at"),
  finishedAt: at(PUSH_HISTORY, "finished_at"),
  meterId: at(PUSH_HISTORY, "meter_id"),
  kind: at(PUSH_HISTORY, "kind"),
  verdict: at(PUSH_HISTORY, "verdict"),
  setupId: at(PUSH_HISTORY, "push_setup_id"),
  objectId: at(PUSH_HISTORY, "push_object_id"),
  attempt: at(PUSH_HISTORY, "attempt"),
  values: at(PUSH_HISTORY, "value_count"),
  rows: at(PUSH_HISTORY, "row_count"),
  octets: at(PUSH_HISTORY, "octet_count"),
  counter: at(PUSH_HISTORY, "invocation_counter"),
  keyId: at(PUSH_HISTORY, "key_id"),
  digest: at(PUSH_HISTORY, "digest"),
  error: at(PUSH_HISTORY, "error"),
};
const F = {
  receivedAt: at(RAW_FRAMES, "received_at"),
  meterId: at(RAW_FRAMES, "meter_id"),
  peer: at(RAW_FRAMES, "peer"),
  framing: at(RAW_FRAMES, "framing"),
  apdu: at(RAW_FRAMES, "apdu"),
  counter: at(RAW_FRAMES, "invocation_counter"),
  keyId: at(RAW_FRAMES, "key_id"),
  control: at(RAW_FRAMES, "security_control"),
  verified: at(RAW_FRAMES, "verified"),
};

/** The rows of a push together with its history and its frame. Nothing in it is a view of what was received. */
export function acceptedPush(
  acceptance: Acceptance,
  contents: Contents,
  nowMs: number,
  again = false,
): AcceptedPush {
  const { meterId, counter, setAside } = acceptance;
  const quarantine = setAside ?? contents.quarantine;
  const rows = setAside === null ? contents.rows : [];
  const { list, valueCount } = contents;
  const cells = historyCells(acceptance, { list, rows, valueCount, quarantine }, nowMs);
  const history = { table: PUSH_HISTORY, cells };
  const frame = { table: RAW_FRAMES, cells: frameCells(acceptance) };
  return { meterId, rows, history, frame, counter, quarantine, again };
}

function historyCells(
  { arrival, meterId, protection }: Acceptance,
  { list, rows, valueCount, quarantine }: Contents,
  nowMs: number,
): Cell[] {
  const cells: Cell[] = PUSH_HISTORY.empty.slice();
  cells[H.startedAt] = arrival.receivedAtMs;
  cells[H.finishedAt] = nowMs;
  cells[H.meterId] = meterId;
  cells[H.kind] = "push";
  cells[H.verdict] = quarantine === null ? "applied" : "quarantined";
  cells[H.setupId] = list?.record?.setupId ?? null;
  cells[H.objectId] = list?.record?.id ?? null;
  cells[H.attempt] = 1;
  cells[H.values] = valueCount;
  cells[H.rows] = rows.length;
  cells[H.octets] = arrival.apdu.length;
  if (quarantine !== null) cells[H.error] = quarantine.text;
  cells[H.digest] = protection?.digest ?? frameDigest(arrival.apdu);
  if (protection === null) return cells;
  cells[H.counter] = protection.counter;
  cells[H.keyId] = protection.name.keyId;
  return cells;
}

function frameCells({ arrival, meterId, protection }: Acceptance): Cell[] {
  const cells: Cell[] = RAW_FRAMES.empty.slice();
  cells[F.receivedAt] = arrival.receivedAtMs;
  cells[F.meterId] = meterId;
  cells[F.peer] = arrival.peer;
  cells[F.framing] = arrival.framing;
  cells[F.apdu] = Buffer.from(arrival.apdu);
  cells[F.verified] = protection?.verified ?? false;
  if (protection === null) return cells;
  cells[F.counter] = protection.counter;
  cells[F.keyId] = protection.name.keyId;
  cells[F.control] = protection.control;
  return cells;
}
