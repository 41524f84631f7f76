import { createHash } from "node:crypto";
import { ReceivedCounter, type SentCounter } from "../../src/dlms/association/protection.ts";
import { ServerAssociation } from "../../src/dlms/association/server.ts";
import type { AssociationPolicy } from "../../src/dlms/association/server-options.ts";
import { ServerSession, type ServerSessionOptions } from "../../src/dlms/association/server-session.ts";
import type { ProtectionKeys } from "../../src/dlms/security/protection.ts";
import { secretKey } from "../../src/dlms/security/secret-key.ts";
import { protectionKeys } from "../envelope.ts";
import type { MeterPlan } from "../identity.ts";
import type { Heard } from "../uplink.ts";
import type { DeviceAssociation, DeviceModel } from "./device-model.ts";
import type { MeterDevice } from "./meter-device.ts";

const SERVER_SAP = 1;
const MAX_RECEIVE_PDU_SIZE = 750;
const APDU_OCTETS_MAX = 65_536;
const LIMITS = { depthMax: 16, elementsMax: 20_000 };
const HDLC = {
  parameters: { informationTransmit: 128, informationReceive: 128, windowTransmit: 1, windowReceive: 1 },
  inactivityMs: 120_000,
  answerMs: 1_000,
  apduOctetsMax: APDU_OCTETS_MAX,
  physicalDevice: null,
  logicalDevices: [SERVER_SAP],
  interOctetMs: 2_000,
} as const;
const FLAG = 0x7e;
/** The mechanism that signs with keys, in clear too. */
const GMAC = 5;

export interface MeterServerOptions {
  readonly model: DeviceModel;
  readonly device: MeterDevice;
  readonly plan: MeterPlan;
  /** Of associations that have none of their own in the plan. */
  readonly keys: () => ProtectionKeys;
  /** Counter of its first answer in each association. */
  readonly firstCounter: number;
}

/** A meter that answers: associations with all its clients, on any number of connections, in HDLC or wrapper frames as it is spoken to. */
export class MeterServer {
  readonly #options: MeterServerOptions;
  /** Counters outlive connections. */
  readonly #received = new Map<number, ReceivedCounter>();
  readonly #sent = new Map<number, number>();
  #challenges = 0;

  constructor(options: MeterServerOptions) {
    this.#options = options;
  }

  /** Highest invocation counter that a client has used; 0: that any has. */
  counterOf(clientSap: number): number {
    if (clientSap === 0) return Math.max(0, ...[...this.#received.values()].map(({ high }) => high));
    return Math.max(0, this.#received.get(clientSap)?.high ?? 0);
  }

  /** Under new keys counters begin anew, in associations to come. */
  keysChanged(): void {
    this.#received.clear();
  }

  /** What somebody has written into an attribute of a push setup; null: nobody has. */
  pushSetting(pushSetup: string, attribute: number): number | null {
    return this.#options.device.writtenNumber(40, pushSetup, attribute);
  }

  /** Answers `first`, which has come over `connection`, and whatever comes after it. */
  attach(connection: Heard, first: Buffer): void {
    const session = this.session(first[0] === FLAG ? "hdlc" : "wrapper");
    let timer: NodeJS.Timeout | null = null;
    const send = () => {
      for (let out = session.takeOutput(); out !== null; out = session.takeOutput()) connection.write(out);
      if (timer !== null) clearTimeout(timer);
      timer = null;
      const deadline = session.deadline();
      if (deadline === null || connection.closed) return;
      timer = setTimeout(
        () => {
          session.handleTimeout(performance.now());
          send();
        },
        Math.max(1, deadline - performance.now()),
      );
      timer.unref();
    };
    const take = (chunk: Buffer) => {
      session.receive(chunk, performance.now());
      send();
    };
    connection.onData(take);
    connection.onClose(() => {
      if (timer !== null) clearTimeout(timer);
    });
    take(first);
  }

  session(framing: "hdlc" | "wrapper"): ServerSession {
    return new ServerSession(this.sessionOptions(framing));
  }

  sessionOptions(framing: "hdlc" | "wrapper"): ServerSessionOptions {
    const associationOf = (clientSap: number, serverSap: number) => this.#association(clientSap, serverSap);
    return framing === "hdlc"
      ? { framing, station: HDLC, associationOf }
      : { framing, payloadOctetsMax: APDU_OCTETS_MAX, associationOf };
  }

  #association(clientSap: number, serverSap: number): ServerAssociation | null {
    if (serverSap !== SERVER_SAP) return null;
    const { model, device, plan } = this.#options;
    const offered = model.associations.find((one) => one.clientSap === clientSap);
    return new ServerAssociation({
      clientSap,
      serverSap,
      systemTitle: plan.systemTitle,
      policy: offered === undefined ? null : this.#policy(offered),
      objects: device,
      randomOctets: (count) => this.#challenge(count),
      maxReceivePduSize: plan.habits.pduOctets ?? MAX_RECEIVE_PDU_SIZE,
      limits: LIMITS,
      apduOctetsMax: APDU_OCTETS_MAX,
    });
  }

  #policy(association: DeviceAssociation): AssociationPolicy {
    const { clientSap, mechanism, ciphered, conformance, preEstablished } = association;
    const secret = mechanism === 0 ? null : this.#options.plan.keys.secretOf(clientSap);
    return {
      mechanism,
      secret: secret === null ? null : secretKey(Buffer.from(secret, "latin1")),
      ciphered,
      conformance,
      security: ciphered || mechanism === GMAC ? this.#security(association) : null,
      ...(preEstablished
        ? { preEstablished: { clientTitle: null, clientMaxReceivePduSize: MAX_RECEIVE_PDU_SIZE } }
        : {}),
    };
  }

  /** Keys that are transferred in one association are those of the next, on the same connection too. */
  #security(association: DeviceAssociation): NonNullable<AssociationPolicy["security"]> {
    const server = this;
    const { clientSap, required } = association;
    return {
      suite: this.#options.plan.suite,
      get keys() {
        return server.#keys(association);
      },
      sent: this.#sentCounter(clientSap),
      get received() {
        return server.#receivedCounter(clientSap);
      },
      required,
    };
  }

  #keys({ clientSap, mechanism }: DeviceAssociation): ProtectionKeys {
    const { plan, keys } = this.#options;
    const own = mechanism === 0 ? null : plan.keys.ofClient(clientSap);
    return own === null ? keys() : protectionKeys(own);
  }

  #receivedCounter(clientSap: number): ReceivedCounter {
    let counter = this.#received.get(clientSap);
    if (counter === undefined) {
      counter = new ReceivedCounter();
      this.#received.set(clientSap, counter);
    }
    return counter;
  }

  #sentCounter(clientSap: number): SentCounter {
    return {
      take: () => {
        const next = this.#sent.get(clientSap) ?? this.#options.firstCounter;
        this.#sent.set(clientSap, next + 1);
        return next;
      },
    };
  }

  /** Never the same twice, and the same again from the same seed. */
  #challenge(count: number): Buffer {
    const { plan } = this.#options;
    const text = `${plan.meterNumber}/${plan.keys.guek.toString("hex")}/${++this.#challenges}`;
    return createHash("sha512").update(text).digest().subarray(0, count);
  }
}
