import { createHash } from "node:crypto";
import {
  type Cell,
  INSTANT_PROFILE,
  METER_READINGS,
  PUSH_HISTORY,
  RAW_FRAMES,
  type Row,
  type Table,
  VOLTAGE_MEASUREMENTS,
} from "../../src/mapping/rows.ts";
import type { AcceptedPush, CounterMove } from "../../src/storage/accepted-push.ts";
import { counterName } from "../../src/storage/counter-name.ts";

/** A row by column names. */
export function row(table: Table, values: Record<string, Cell>): Row {
  for (const name of Object.keys(values)) {
    if (!table.position.has(name)) throw new Error(`${table.name} has no column ${name}`);
  }
  return { table, cells: table.columns.map(({ name }) => values[name] ?? null) };
}

export interface PushParts {
  readonly meterId: string;
  /** Milliseconds since 1970 UTC. */
  readonly time: number;
  readonly rows?: readonly Row[];
  readonly counter?: { readonly keyId: number; readonly counter: number; readonly octets?: string } | null;
  readonly quarantine?: AcceptedPush["quarantine"];
}

/** A push that was received a second after its capture. */
export function push(parts: PushParts): AcceptedPush {
  const { meterId, time } = parts;
  const received = time + 1_000;
  const apdu = Buffer.from(parts.counter?.octets ?? `push ${time} ${parts.counter?.counter ?? ""}`);
  const digest = createHash("sha256").update(apdu).digest().toString("latin1", 0, 16);
  const counter: CounterMove | null = parts.counter
    ? {
        ...{ meterId, counter: parts.counter.counter, digest, isFinal: false },
        name: counterName(parts.counter.keyId, "4142430000000001", 48),
      }
    : null;
  return {
    meterId,
    rows: parts.rows ?? [],
    counter,
    quarantine: parts.quarantine ?? null,
    again: false,
    history: row(PUSH_HISTORY, {
      started_at: received,
      finished_at: received,
      meter_id: meterId,
      kind: "push",
      verdict: "applied",
      attempt: 1,
      octet_count: apdu.length,
      invocation_counter: counter?.counter,
      key_id: counter?.name.keyId,
      digest,
    }),
    frame: row(RAW_FRAMES, {
      received_at: received,
      meter_id: meterId,
      peer: "127.0.0.1",
      framing: "wrapper",
      apdu,
      verified: counter !== null,
    }),
  };
}

const how = (meterId: string, time: number) => ({
  time,
  meter_id: meterId,
  origin: "push",
  received_at: time + 1_000,
});

export const voltages = (meterId: string, time: number, values: Record<string, Cell>) =>
  row(VOLTAGE_MEASUREMENTS, { ...how(meterId, time), source: "instant", ...values });

export const instant = (meterId: string, time: number, values: Record<string, Cell>) =>
  row(INSTANT_PROFILE, { ...how(meterId, time), ...values });

export const reading = (meterId: string, time: number, obisCodeId: number, values: Record<string, Cell>) =>
  row(METER_READINGS, {
    ...how(meterId, time),
    obis_code_id: obisCodeId,
    attribute: 2,
    source: "single",
    ...values,
  });
