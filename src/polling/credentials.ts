import { randomBytes } from "node:crypto";
import type { MeterQuirks } from "../dlms/association/client-exchange.ts";
import type { ClientOptions, ClientSecurity } from "../dlms/association/client-options.ts";
import type { Mechanism } from "../dlms/association/mechanisms.ts";
import type { ReceivedCounter } from "../dlms/association/protection.ts";
import { secretKey } from "../dlms/security/secret-key.ts";
import { keyOctetsOf } from "../dlms/security/security-control.ts";
import type { Limits } from "../limits.ts";
import type { MechanismName, MeterAccess } from "../storage/meter-access.ts";
import type { MeterKey } from "../storage/meter-record.ts";
import type { CounterLease } from "./counter-leases.ts";
import { PollError } from "./meter-association.ts";

/** The public client, whose association needs no credentials. */
export const PUBLIC_CLIENT = 16;

const MECHANISMS: Record<MechanismName, Mechanism | null> = {
  none: 0,
  lls: 1,
  hls2: 2,
  hls3: 3,
  hls4: 4,
  hls5: 5,
  hls6: 6,
  hls7: null,
};

const CHALLENGE_OCTETS = 16;
/** Authenticated and encrypted: stronger protection than asked for is always taken. */
const PROTECTION = 0x30;

/** What opens an association, as it is configured: which mechanism, which context, which keys. */
export interface Credentials {
  readonly mechanism: Mechanism;
  readonly ciphered: boolean;
  readonly secret: ClientOptions["secret"];
  /** null where nothing is ciphered and nothing signed. */
  readonly keys: { readonly encryption: MeterKey; readonly authentication: MeterKey | null } | null;
  readonly dedicated: boolean;
  /** What would be negotiated; null where it is. */
  readonly preEstablished: NonNullable<ClientOptions["preEstablished"]> | null;
}

const PUBLIC: Credentials = {
  mechanism: 0,
  ciphered: false,
  secret: null,
  keys: null,
  dedicated: false,
  preEstablished: null,
};

/** @throws PollError `not-configured` or `key-missing` */
export function credentialsOf(
  meter: MeterAccess,
  clientSap: number,
  state: "ACTIVE" | "NEW" = "ACTIVE",
): Credentials {
  const { association } = meter;
  const about = `meter ${meter.meterNumber}, client ${clientSap}`;
  if (association === null) {
    if (clientSap === PUBLIC_CLIENT) {
      return PUBLIC;
    }
    throw new PollError("not-configured", `${about}: it has no such association; see \`hes keys import\``);
  }
  const mechanism = MECHANISMS[association.mechanism];
  if (mechanism === null) {
    throw new PollError("not-configured", `${about}: HLS 7 is not supported yet`);
  }
  const encryption = keyOf(meter.keys, "guek", clientSap, state);
  const ciphered = isCiphered(meter, association, encryption !== null);
  const needsKeys = ciphered || mechanism === 5;
  if (needsKeys && encryption === null) {
    throw new PollError("key-missing", `${about}: it has no encryption key (guek)`);
  }
  if ([1, 2, 3, 4, 6].includes(mechanism) && association.secret === null) {
    throw new PollError("key-missing", `${about}: its mechanism ${association.mechanism} needs a secret`);
  }
  const authentication = keyOf(meter.keys, "gak", clientSap, state);
  if (needsKeys && authentication === null) {
    throw new PollError("key-missing", `${about}: it has no authentication key (gak)`);
  }
  if (association.preEstablished !== null && ciphered && meter.systemTitle === null) {
    throw new PollError(
      "not-configured",
      `${about}: its association is pre-established and ciphered, and no AARE tells its system title: set it by \`hes meters import\``,
    );
  }
  return {
    mechanism,
    ciphered,
    secret: association.secret,
    keys: needsKeys ? { encryption: encryption!, authentication } : null,
    dedicated:
      association.preEstablished === null && keyOf(meter.keys, "dedicated", clientSap, "ACTIVE") !== null,
    preEstablished: association.preEstablished,
  };
}

/** Without a word about it, an association is ciphered where it authenticates, or can't, and there is a key. */
function isCiphered(
  { requiredProtection }: MeterAccess,
  { context, mechanism, preEstablished }: NonNullable<MeterAccess["association"]>,
  hasKey: boolean,
): boolean {
  if (context !== "auto") return context === "ciphered";
  return (mechanism !== "none" || preEstablished !== null) && hasKey && requiredProtection !== 0;
}

/** A key of the association before one of the meter; of the state that is asked for where there is one. */
function keyOf(
  keys: readonly MeterKey[],
  kind: MeterKey["kind"],
  clientSap: number,
  state: "ACTIVE" | "NEW",
): MeterKey | null {
  const rank = (key: MeterKey) => (key.clientSap === null ? 2 : 0) + (key.state === state ? 0 : 1);
  const usable = keys.filter(
    (key) =>
      key.kind === kind &&
      (key.clientSap === null || key.clientSap === clientSap) &&
      (key.state === "ACTIVE" || key.state === state),
  );
  return usable.sort((a, b) => rank(a) - rank(b))[0] ?? null;
}

export interface AssociationTuning {
  /** 8 octets: who we are to meters. */
  readonly systemTitle: Buffer;
  readonly limits: Limits;
  readonly maxReceivePduSize: number;
  readonly responseMs: number | null;
  readonly repeats: number;
}

/** What is proposed: general protection only where there are keys. */
const PROPOSED = 0x207edf;
const GENERAL_PROTECTION = 0x400000;
const GET = 0x000010;
const BLOCK_WINDOW = 8;

export function clientOptions(
  meter: MeterAccess,
  credentials: Credentials,
  counters: { readonly sent: CounterLease; readonly received: ReceivedCounter } | null,
  quirks: MeterQuirks,
  tuning: AssociationTuning,
): ClientOptions {
  const { mechanism, ciphered, secret, preEstablished } = credentials;
  const { limits } = tuning;
  return {
    mechanism,
    secret,
    challenge: mechanism >= 2 ? randomBytes(CHALLENGE_OCTETS) : null,
    ciphered,
    systemTitle: ciphered || mechanism >= 2 ? tuning.systemTitle : null,
    security: counters === null ? null : securityOf(meter, credentials, counters),
    proposedConformance: ciphered ? PROPOSED | GENERAL_PROTECTION : PROPOSED,
    requiredConformance: GET,
    maxReceivePduSize: tuning.maxReceivePduSize,
    limits: { depthMax: limits.depthMax, elementsMax: limits.pollElementsMax },
    bytesMax: limits.pollBytesMax,
    blockWindow: BLOCK_WINDOW,
    responseMs: tuning.responseMs,
    repeats: tuning.repeats,
    quirks,
    ...(preEstablished === null ? {} : { preEstablished }),
  };
}

function securityOf(
  meter: MeterAccess,
  { keys, ciphered, dedicated, preEstablished }: Credentials,
  { sent, received }: { readonly sent: CounterLease; readonly received: ReceivedCounter },
): ClientSecurity {
  const suite = meter.securitySuite;
  // Always a fresh one: its counter begins anew with each association.
  const octets = ciphered && dedicated ? randomBytes(keyOctetsOf(suite)!) : null;
  return {
    suite,
    keys: { encryption: keys!.encryption.key, authentication: keys!.authentication?.key ?? null },
    sent,
    received,
    bits: PROTECTION,
    required: meter.requiredProtection,
    dedicated: octets === null ? null : { key: secretKey(octets), octets },
    // Where no AARQ has told the meter our system title, each APDU does.
    general: preEstablished !== null && (preEstablished.conformance & GENERAL_PROTECTION) !== 0,
    meterTitle: meter.systemTitle,
  };
}
