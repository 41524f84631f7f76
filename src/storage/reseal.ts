import { counted } from "../finding.ts";
import type { KeyRing } from "../keys/key-ring.ts";
import type { Client, Database } from "./database.ts";

/** Envelopes sealed anew in one transaction. */
const BATCH_ROWS = 500;

export interface ResealReport {
  /** Envelopes that are sealed with the current key-encryption key now, and weren't before. */
  readonly resealed: number;
  /** What could not be opened, and stays as it is: one sentence each. */
  readonly unopened: readonly string[];
}

/** Keys and secrets by the key-encryption key that seals them. */
export interface SealedWith {
  /** 16 hex digits */
  readonly kekId: string;
  readonly keys: number;
  readonly secrets: number;
}

/** Octets 2 to 9 of an envelope say which key-encryption key it needs. */
const KEK_ID = (envelope: string) => `encode(substring(${envelope} FROM 2 FOR 8), 'hex')`;

/**
 * Seals everything anew that a former key-encryption key seals, in batches of one transaction each: interrupted, it goes on where it was
 * when it is called again. Daemons may run meanwhile, as long as they know both key-encryption keys.
 */
export async function resealKeys(
  database: Database,
  ring: KeyRing,
  onProgress: (resealed: number) => void = () => {},
): Promise<ResealReport> {
  let resealed = 0;
  const unopened: string[] = [];
  for (const batch of [resealMeterKeys, resealSecrets]) {
    let after: number | null = 0;
    while (after !== null) {
      const from: number = after;
      const done = await database.transaction((client) => batch(client, ring, from));
      after = done.last;
      resealed += done.resealed;
      unopened.push(...done.unopened);
      onProgress(resealed);
    }
  }
  return { resealed, unopened };
}

export async function sealedWith(database: Database): Promise<SealedWith[]> {
  const rows = await database.query(
    `SELECT kek, count(*) FILTER (WHERE key) AS keys, count(*) FILTER (WHERE NOT key) AS secrets
       FROM (SELECT ${KEK_ID("envelope")} AS kek, true AS key FROM meter_keys
             UNION ALL
             SELECT ${KEK_ID("secret")}, false FROM meter_associations WHERE secret IS NOT NULL) sealed
      GROUP BY kek ORDER BY kek`,
  );
  return rows.map((row) => ({ kekId: row["kek"], keys: row["keys"], secrets: row["secrets"] }));
}

/** "3 keys and 1 secret are sealed with 0011223344556677", for messages. */
export function describeSealed(sealed: readonly SealedWith[]): string {
  const keys = sealed.reduce((sum, one) => sum + one.keys, 0);
  const secrets = sealed.reduce((sum, one) => sum + one.secrets, 0);
  const ids = sealed.map(({ kekId }) => kekId).join(" and ");
  return `${counted(keys, "key")} and ${counted(secrets, "secret")} are sealed with ${ids}`;
}

interface Batch {
  /** Id of the last row looked at; null: there are no more. */
  readonly last: number | null;
  readonly resealed: number;
  readonly unopened: string[];
}

interface SealedRow {
  readonly id: number;
  readonly meterId: string;
  readonly kind: string;
  readonly systemTitle: string | null;
  readonly envelope: Buffer;
}

interface ResealedRow {
  readonly id: number;
  readonly envelope: Buffer;
  readonly mac: Buffer;
}

async function resealMeterKeys(client: Client, ring: KeyRing, after: number): Promise<Batch> {
  const { rows } = await client.query(
    `SELECT id, meter_id, kind, system_title, envelope FROM meter_keys
      WHERE id > $1 AND (mac IS NULL OR ${KEK_ID("envelope")} <> $2) ORDER BY id LIMIT ${BATCH_ROWS} FOR UPDATE`,
    [after, ring.kekId],
  );
  const done = resealRows(ring, rows.map(sealedRow));
  await client.query(
    `UPDATE meter_keys k SET envelope = x.envelope, mac = x.mac
       FROM unnest($1::int[], $2::bytea[], $3::bytea[]) AS x(id, envelope, mac) WHERE k.id = x.id`,
    [done.rows.map(({ id }) => id), done.rows.map((row) => row.envelope), done.rows.map(({ mac }) => mac)],
  );
  return done;
}

async function resealSecrets(client: Client, ring: KeyRing, after: number): Promise<Batch> {
  const { rows } = await client.query(
    `SELECT id, meter_id, 'secret' AS kind, NULL AS system_title, secret AS envelope FROM meter_associations
      WHERE id > $1 AND ${KEK_ID("secret")} <> $2 ORDER BY id LIMIT ${BATCH_ROWS} FOR UPDATE`,
    [after, ring.kekId],
  );
  const done = resealRows(ring, rows.map(sealedRow));
  await client.query(
    `UPDATE meter_associations a SET secret = x.envelope
       FROM unnest($1::int[], $2::bytea[]) AS x(id, envelope) WHERE a.id = x.id`,
    [done.rows.map(({ id }) => id), done.rows.map((row) => row.envelope)],
  );
  return done;
}

const sealedRow = (row: Record<string, unknown>): SealedRow => ({
  id: row["id"] as number,
  meterId: row["meter_id"] as string,
  kind: row["kind"] as string,
  systemTitle: row["system_title"] as string | null,
  envelope: row["envelope"] as Buffer,
});

function resealRows(ring: KeyRing, found: readonly SealedRow[]): Batch & { readonly rows: ResealedRow[] } {
  const rows: ResealedRow[] = [];
  const unopened: string[] = [];
  for (const { id, meterId, kind, systemTitle, envelope } of found) {
    const binding = { meterId, kind, keyId: id, systemTitle };
    try {
      const key = ring.open(envelope, binding);
      rows.push({ id, mac: ring.mac(key), envelope: ring.seal(key.export(), binding) });
    } catch (error) {
      unopened.push(`${kind} of meter ${meterId}: ${(error as Error).message}`);
    }
  }
  return { rows, unopened, resealed: rows.length, last: found.at(-1)?.id ?? null };
}
