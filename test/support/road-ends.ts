import { ReceivedCounter } from "../../src/dlms/association/protection.ts";
import type { AssociationPolicy } from "../../src/dlms/association/server-options.ts";
import { DEFAULT_LIMITS } from "../../src/limits.ts";
import type { CounterStore } from "../../src/polling/counter-leases.ts";
import type { RoadSettings } from "../../src/polling/roads.ts";
import type { MeterAccess } from "../../src/storage/meter-access.ts";
import type { MeterKey } from "../../src/storage/meter-record.ts";
import { AK, CLIENT_TITLE, counting, EK, hex, SERVER_TITLE, suite0 } from "./associations.ts";
import { PaperMeter } from "./paper-meter.ts";

/** A meter that is dialled, as the database would say it, with its keys and counters; and the same meter at the other end. */

export const SETTINGS: RoadSettings = {
  systemTitle: CLIENT_TITLE,
  associationsMax: 100,
  perHostMax: 4,
  perNetworkMax: 100,
  perHostIntervalMs: 0,
  responseMs: 20_000,
  retries: 2,
  hdlcWindow: 1,
  maxReceivePduSize: 1_024,
  counterBlock: 50,
  counterJumpMax: 2 ** 24,
  limits: DEFAULT_LIMITS,
};

export const KEYS: MeterKey[] = [
  { keyId: 7, kind: "guek", clientSap: null, state: "ACTIVE", key: EK },
  { keyId: 8, kind: "gak", clientSap: null, state: "ACTIVE", key: AK },
];

export const ACCESS: MeterAccess = {
  id: "11111111-1111-1111-1111-111111111111",
  meterNumber: "M1",
  meterType: "D1",
  mode: "dial",
  transport: "tcp",
  framing: "wrapper",
  host: "127.0.0.1",
  port: 0,
  serverSap: 1,
  physicalAddress: null,
  gateway: null,
  systemTitle: SERVER_TITLE,
  securitySuite: 0,
  requiredProtection: 0x30,
  counterMayStandStill: false,
  keys: KEYS,
  association: { mechanism: "hls5", context: "auto", secret: null, preEstablished: null },
  quirks: new Set(),
};

/** In memory, with what was reserved and asked for. */
export class Counters implements CounterStore {
  reserved: number | null = null;
  readonly highest = new Map<number, number>();
  reserve(_: number, count: number, above: number) {
    const after = Math.max(this.reserved ?? 0, above);
    this.reserved = after + count;
    return Promise.resolve({ after, until: after + count });
  }
  isKnown = () => Promise.resolve(this.reserved !== null);
  received = (_: number, sap: number) => Promise.resolve(this.highest.get(sap) ?? -1);
  noteReceived(_: number, sap: number, received: number) {
    this.highest.set(sap, received);
    return Promise.resolve();
  }
}

export const paper = (name = "METER1") =>
  new PaperMeter()
    .attribute(8, "0.0.1.0.0.255", 2, { type: "octet-string", value: hex("07EA0718FF0A0F1E00FEB600") })
    .attribute(1, "0.0.42.0.0.255", 2, { type: "octet-string", value: Buffer.from(name) })
    .attribute(1, "0.0.43.1.3.255", 2, { type: "double-long-unsigned", value: 5_000 });

/** The counter of the meter's side goes on from connection to connection. */
export function policies(
  received = new ReceivedCounter(4_999),
): (clientSap: number) => AssociationPolicy | null {
  const sent = counting(1);
  return (clientSap) =>
    clientSap === 16
      ? { mechanism: 0, secret: null, ciphered: false, conformance: 0x1e1d, security: null }
      : {
          mechanism: 5,
          secret: null,
          ciphered: true,
          conformance: 0x603e1d,
          security: { ...suite0(1), sent, received },
        };
}
