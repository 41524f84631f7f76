import { randomBytes } from "node:crypto";
import type { KeyRing } from "../keys/key-ring.ts";
import type { RotatedKind, RotationKey, RotationStore } from "../keys/rotation.ts";
import { keyOctets } from "../keys/secret-text.ts";
import type { Client, Database } from "./database.ts";
import { insertKeys } from "./meter-keys.ts";

const COLUMNS = "id, meter_id, kind, state, envelope, system_title";

/** Rotations in `meter_keys`. */
export function openRotationStore(database: Database, ring: KeyRing): RotationStore {
  return {
    keys: (meterId, clientSap) =>
      database.withClient((client) => rotationKeys(client, ring, meterId, clientSap)),
    begin: (meterId, clientSap, kinds) => begin(database, ring, meterId, clientSap, kinds),
    taken: (keys) => taken(database, keys),
    withdrawn: async (keys) => {
      await database.query("UPDATE meter_keys SET state = 'WITHDRAWN' WHERE id = ANY($1) AND state = 'NEW'", [
        keys.map(({ keyId }) => keyId),
      ]);
    },
  };
}

/** The master key is a meter's, never an association's. */
async function rotationKeys(
  client: Client,
  ring: KeyRing,
  meterId: string,
  clientSap: number | null,
): Promise<RotationKey[]> {
  const { rows } = await client.query(
    `SELECT ${COLUMNS} FROM meter_keys
      WHERE meter_id = $1 AND state IN ('NEW', 'ACTIVE')
        AND (kind IN ('guek', 'gak') AND client_sap IS NOT DISTINCT FROM $2 OR kind = 'master' AND client_sap IS NULL)
      ORDER BY id`,
    [meterId, clientSap],
  );
  return rows.map((row) => opened(ring, row));
}

function opened(ring: KeyRing, row: Record<string, unknown>): RotationKey {
  const [keyId, kind] = [row["id"] as number, row["kind"] as RotatedKind];
  const [meterId, systemTitle] = [row["meter_id"] as string, row["system_title"] as string | null];
  const key = ring.open(row["envelope"] as Buffer, { meterId, kind, keyId, systemTitle });
  return { keyId, kind, state: row["state"] as RotationKey["state"], key };
}

function begin(
  database: Database,
  ring: KeyRing,
  meterId: string,
  clientSap: number | null,
  kinds: readonly RotatedKind[],
): Promise<RotationKey[]> {
  return database.transaction(async (client) => {
    const { rows: meters } = await client.query("SELECT security_suite FROM public.meters WHERE id = $1", [
      meterId,
    ]);
    const octets = keyOctets(meters[0]!.security_suite);
    const fresh = kinds.map((kind) => ({ meterId, kind, clientSap, secret: randomBytes(octets) }));
    const ids = await insertKeys(client, ring, fresh, "NEW");
    const { rows } = await client.query(`SELECT ${COLUMNS} FROM meter_keys WHERE id = ANY($1) ORDER BY id`, [
      ids,
    ]);
    return rows.map((row) => opened(ring, row));
  });
}

/** One transaction: at no time has a meter two active keys of a kind, or none. */
async function taken(database: Database, keys: readonly RotationKey[]): Promise<void> {
  const ids = keys.map(({ keyId }) => keyId);
  await database.transaction(async (client) => {
    await client.query(
      `UPDATE meter_keys former SET state = 'EXPIRED'
         FROM meter_keys fresh
        WHERE fresh.id = ANY($1) AND fresh.state = 'NEW' AND former.state = 'ACTIVE' AND former.meter_id = fresh.meter_id
          AND former.kind = fresh.kind AND former.client_sap IS NOT DISTINCT FROM fresh.client_sap`,
      [ids],
    );
    await client.query("UPDATE meter_keys SET state = 'ACTIVE' WHERE id = ANY($1) AND state = 'NEW'", [ids]);
  });
}
