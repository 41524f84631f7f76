import type { KeyObject } from "node:crypto";
import { SecurityError } from "../dlms/security/errors.ts";
import { unwrapKey } from "../dlms/security/key-wrap.ts";
import type { ProtectionKeys } from "../dlms/security/protection.ts";
import {
  AUTHENTICATED,
  describeProtection,
  protectionOf,
  suiteOf,
} from "../dlms/security/security-control.ts";
import { type CounterName, counterName } from "../storage/counter-name.ts";
import type { MeterKey, MeterRecord } from "../storage/meter-record.ts";
import type { NamedKey } from "./envelope.ts";
import { RefusedError } from "./refused-error.ts";

/** Keys under which a push may be protected, and the row of the encryption key, whose counter it moves. */
export interface KeyPair extends ProtectionKeys {
  readonly keyId: number;
  /** The counter that was counted on last. */
  counter: CounterName | null;
}

/** Key changes leave an old and a new key of each kind at most. */
const PAIRS_MAX = 4;
/** Where the keys of earlier key changes are tried, too. */
const FORMER_PAIRS_MAX = 64;

const pairs = new WeakMap<MeterRecord, Map<number, readonly KeyPair[]>>();

/**
 * Pairs for an APDU that names its key; those of a wrapped key are made for this APDU only, and move the master key's counter.
 * @throws SecurityError "unsupported" for an agreed key; "bad_tag" or "malformed" where the key that came along can't be unwrapped
 */
export function pairsFor(key: NamedKey, meter: MeterRecord, clientSap: number): readonly KeyPair[] {
  switch (key.kind) {
    case "global":
      return keyPairs(meter, clientSap);
    case "dedicated":
      return combine(meter, "dedicated", clientSap);
    case "broadcast":
      return combine(meter, "gbek", clientSap);
    case "wrapped":
      return combine(meter, "master", clientSap).map((pair) => ({
        ...pair,
        encryption: unwrapKey(pair.encryption as KeyObject, key.wrapped),
      }));
    case "agreed":
      throw new SecurityError("unsupported", "ciphered with an agreed key, which is not supported");
  }
}

/** The counter that what this originator sends under the key counts on. */
export function counterOf(pair: KeyPair, systemTitle: string, clientSap: number): CounterName {
  const last = pair.counter;
  if (last !== null && last.systemTitle === systemTitle && last.clientSap === clientSap) return last;
  const name = counterName(pair.keyId, systemTitle, clientSap);
  pair.counter = name;
  return name;
}

/** Pairs to try, in this order: the association's own before the meter's, ACTIVE before NEW, and former ones last. */
export function keyPairs(meter: MeterRecord, clientSap: number): readonly KeyPair[] {
  let bySap = pairs.get(meter);
  if (bySap === undefined) {
    bySap = new Map();
    pairs.set(meter, bySap);
  }
  let found = bySap.get(clientSap);
  if (found === undefined) {
    found = combine(meter, "guek", clientSap);
    bySap.set(clientSap, found);
  }
  return found;
}

function combine(meter: MeterRecord, kind: MeterKey["kind"], clientSap: number): KeyPair[] {
  const encryption = candidates(meter, kind, clientSap);
  const authentication = candidates(meter, "gak", clientSap);
  const combined = encryption.flatMap((guek) => {
    const pair = (gak: MeterKey | null): KeyPair => ({
      keyId: guek.keyId,
      counter: null,
      encryption: guek.key,
      authentication: gak?.key ?? null,
    });
    // Keys of one state were loaded together and are likely to be used together.
    const ordered = [...authentication].sort(
      (a, b) => Number(b.state === guek.state) - Number(a.state === guek.state),
    );
    return ordered.length === 0 ? [pair(null)] : ordered.map(pair);
  });
  const isFormer = meter.keys.some(({ state }) => state === "EXPIRED");
  return combined.slice(0, isFormer ? FORMER_PAIRS_MAX : PAIRS_MAX);
}

const STATES: readonly MeterKey["state"][] = ["ACTIVE", "NEW", "EXPIRED"];

function candidates(meter: MeterRecord, kind: MeterKey["kind"], clientSap: number): MeterKey[] {
  const rank = (key: MeterKey) => (key.clientSap === null ? 3 : 0) + STATES.indexOf(key.state);
  return meter.keys
    .filter((key) => key.kind === kind && (key.clientSap === null || key.clientSap === clientSap))
    .sort((a, b) => rank(a) - rank(b));
}

/** Throws RefusedError `weak_protection` or `wrong_suite`. */
export function checkPolicy(meter: MeterRecord, control: number): void {
  const missing = meter.requiredProtection & ~control;
  if (missing !== 0) {
    const text = `${meter.meterNumber} must send ${describeProtection(meter.requiredProtection)}, this is ${describeProtection(control)}`;
    throw new RefusedError("weak_protection", text, meter.id);
  }
  if (protectionOf(control) !== 0 && suiteOf(control) !== meter.securitySuite) {
    const text = `${meter.meterNumber} has security suite ${meter.securitySuite}, this is suite ${suiteOf(control)}`;
    throw new RefusedError("wrong_suite", text, meter.id);
  }
}

export function isAuthenticated(control: number): boolean {
  return (control & AUTHENTICATED) !== 0;
}
