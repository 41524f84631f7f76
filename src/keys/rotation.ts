import type { KeyObject } from "node:crypto";
import { describeRefusal } from "../dlms/association/requests.ts";
import type { ObisCode } from "../dlms/cosem/obis-code.ts";
import type { Data } from "../dlms/encoding/data-types.ts";
import { wrapKey } from "../dlms/security/key-wrap.ts";
import { type MeterAssociation, type MeterRoads, PollError } from "../polling/meter-association.ts";

/** Keys that are a meter's own, by their identifiers in key_transfer (class 64, method 2); 1 is the broadcast key, which many share. */
const KEY_IDENTIFIERS = { guek: 0, gak: 2, master: 3 } as const;

export type RotatedKind = keyof typeof KEY_IDENTIFIERS;

const SECURITY_SETUP_CLASS = 64;
const KEY_TRANSFER = 2;

/** A row of `meter_keys`, opened. */
export interface RotationKey {
  readonly keyId: number;
  readonly kind: RotatedKind;
  readonly state: "NEW" | "ACTIVE";
  readonly key: KeyObject;
}

/** Where keys and their states are kept. What these calls do is durable when they resolve. */
export interface RotationStore {
  /** NEW and ACTIVE keys of one meter: those of an association, or, where `clientSap` is null, those of all; and the master keys. */
  keys(meterId: string, clientSap: number | null): Promise<RotationKey[]>;
  /** Makes random keys and keeps them as NEW. */
  begin(meterId: string, clientSap: number | null, kinds: readonly RotatedKind[]): Promise<RotationKey[]>;
  /** The meter has them: NEW becomes ACTIVE, what was ACTIVE EXPIRED. */
  taken(keys: readonly RotationKey[]): Promise<void>;
  /** The meter has not got them: NEW becomes WITHDRAWN. */
  withdrawn(keys: readonly RotationKey[]): Promise<void>;
}

export interface Rotation {
  readonly meterId: string;
  /** The master key is rotated by itself: nothing else could tell whether the meter has taken it. */
  readonly kinds: readonly RotatedKind[];
  /** Whose keys: of one association, or null, of all that have none of their own. */
  readonly clientSap: number | null;
  /** The association that may transfer keys. */
  readonly through: number;
  /** Object of class 64. */
  readonly securitySetup: ObisCode;
  readonly signal?: AbortSignal;
}

export type RotationOutcome =
  /** The meter uses the new keys, and so do we. */
  | { readonly kind: "rotated" }
  /** Nothing has changed at the meter, and new keys that were made are withdrawn. */
  | { readonly kind: "unchanged"; readonly why: string }
  /** The meter may have the new or the former keys: both are kept, pushes under either are read, and the next rotation finds out. */
  | { readonly kind: "unknown"; readonly why: string };

/**
 * Gives a meter new keys. They are durable as NEW before they are sent, wrapped with the master key (RFC 3394), and become ACTIVE when
 * an association under them stands. Where the answer is lost, or an earlier rotation was interrupted, NEW and then ACTIVE is tried, and the
 * one that works is the one that the meter has.
 */
export async function rotateKeys(
  rotation: Rotation,
  roads: MeterRoads,
  store: RotationStore,
): Promise<RotationOutcome> {
  const keys = await store.keys(rotation.meterId, rotation.clientSap);
  const pending = keys.filter(({ kind, state }) => state === "NEW" && kind !== "master");
  const isMaster = rotation.kinds.includes("master");
  if (isMaster || pending.length === 0) return begin(rotation, keys, roads, store);
  const found = await findOut(rotation, pending, roads, store);
  if (found.kind === "unknown") return found;
  const done = found.kind === "rotated" ? pending.map(({ kind }) => kind) : [];
  const kinds = rotation.kinds.filter((kind) => !done.includes(kind));
  return kinds.length === 0 ? found : begin({ ...rotation, kinds }, keys, roads, store);
}

async function begin(
  rotation: Rotation,
  keys: readonly RotationKey[],
  roads: MeterRoads,
  store: RotationStore,
): Promise<RotationOutcome> {
  // The one that a meter was perhaps given last comes first.
  const masters = keys.filter(({ kind }) => kind === "master").sort((a) => (a.state === "NEW" ? -1 : 1));
  if (masters.length === 0) {
    return { kind: "unchanged", why: "it has no master key, with which new keys are wrapped" };
  }
  let association: MeterAssociation;
  try {
    association = await open(rotation, rotation.through, "ACTIVE", roads);
  } catch (error) {
    return { kind: "unchanged", why: pollError(error).message };
  }
  const fresh = await freshKeys(rotation, masters, store);
  const result = await transfer(association, rotation, fresh, masters, store);
  if (result.kind === "refused") {
    await store.withdrawn(fresh);
    return { kind: "unchanged", why: `it refused the new keys: ${result.why}` };
  }
  const provable = association.meterSystemTitle !== null && !rotation.kinds.includes("master");
  if (provable) return findOut(rotation, fresh, roads, store);
  if (result.kind === "lost") return { kind: "unknown", why: result.why };
  await store.taken(fresh);
  return { kind: "rotated" };
}

/** A master key whose fate is unknown is sent once more: unlike other keys, nothing is counted under it. */
function freshKeys(
  { meterId, clientSap, kinds }: Rotation,
  masters: readonly RotationKey[],
  store: RotationStore,
): Promise<RotationKey[]> {
  const again = kinds.includes("master") ? masters.filter(({ state }) => state === "NEW") : [];
  if (again.length > 0) return Promise.resolve(again);
  return store.begin(meterId, kinds.includes("master") ? null : clientSap, kinds);
}

type Transferred =
  | { readonly kind: "done" }
  | { readonly kind: "refused"; readonly why: string }
  | { readonly kind: "lost"; readonly why: string };

/** Sends the keys under one master key after the other, until the meter takes them: that is its master key then. */
async function transfer(
  association: MeterAssociation,
  { securitySetup }: Rotation,
  fresh: readonly RotationKey[],
  masters: readonly RotationKey[],
  store: RotationStore,
): Promise<Transferred> {
  const method = { classId: SECURITY_SETUP_CLASS, instanceId: securitySetup, methodId: KEY_TRANSFER };
  let why = "";
  try {
    for (const master of masters) {
      const [outcome] = await association.invoke([
        { method, parameters: keyTransferData(fresh, master.key) },
      ]);
      if (outcome!.kind === "done") {
        await settleMaster(master, masters, fresh, store);
        return { kind: "done" };
      }
      why = describeRefusal(outcome!);
    }
    return { kind: "refused", why };
  } catch (error) {
    return { kind: "lost", why: pollError(error).message };
  } finally {
    await association.release();
  }
}

/** Of two master keys, the one under which the meter took keys is its own. */
async function settleMaster(
  used: RotationKey,
  masters: readonly RotationKey[],
  fresh: readonly RotationKey[],
  store: RotationStore,
): Promise<void> {
  const pending = masters.filter((master) => master.state === "NEW" && !fresh.includes(master));
  if (pending.includes(used)) await store.taken([used]);
  else if (pending.length > 0) await store.withdrawn(pending);
}

/** `array of structure { key_id: enum, key_wrapped: octet-string }`. */
function keyTransferData(keys: readonly RotationKey[], master: KeyObject): Data {
  return {
    type: "array",
    value: keys.map(({ kind, key }) => ({
      type: "structure",
      value: [
        { type: "enum", value: KEY_IDENTIFIERS[kind] },
        { type: "octet-string", value: wrapKey(master, key) },
      ],
    })),
  };
}

/** Tries NEW, then ACTIVE. Under keys that aren't the meter's no association comes to stand, or it doesn't even answer. */
async function findOut(
  rotation: Rotation,
  fresh: readonly RotationKey[],
  roads: MeterRoads,
  store: RotationStore,
): Promise<RotationOutcome> {
  const newKeys = await attempt(rotation, "NEW", roads);
  if (newKeys === null) {
    await store.taken(fresh);
    return { kind: "rotated" };
  }
  if (newKeys.failure === "unreachable" || newKeys.failure === "aborted") {
    return { kind: "unknown", why: newKeys.message };
  }
  const former = await attempt(rotation, "ACTIVE", roads);
  if (former !== null)
    return { kind: "unknown", why: `neither works: ${newKeys.message}; ${former.message}` };
  await store.withdrawn(fresh);
  return { kind: "unchanged", why: `it still has the former keys: ${newKeys.message}` };
}

/** null: an association under these keys stands. */
async function attempt(
  rotation: Rotation,
  keys: "NEW" | "ACTIVE",
  roads: MeterRoads,
): Promise<PollError | null> {
  try {
    // Keys of one association are proved by that one, those of all by any.
    const association = await open(rotation, rotation.clientSap ?? rotation.through, keys, roads);
    await association.release();
    if (association.meterSystemTitle !== null) return null;
    return new PollError(
      "not-configured",
      `association ${association.clientSap} isn't ciphered: it proves no key`,
    );
  } catch (error) {
    return pollError(error);
  }
}

function open(
  { meterId, signal }: Rotation,
  clientSap: number,
  keys: "NEW" | "ACTIVE",
  roads: MeterRoads,
): Promise<MeterAssociation> {
  return roads.open(meterId, { clientSap, purpose: "command", keys, ...(signal ? { signal } : {}) });
}

function pollError(error: unknown): PollError {
  if (error instanceof PollError) return error;
  throw error;
}
