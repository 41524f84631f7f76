import type { MeterQuirks, Quirk } from "../dlms/association/client-exchange.ts";
import type { ClientOptions } from "../dlms/association/client-options.ts";
import { ClientSession } from "../dlms/association/client-session.ts";
import { GatewayLink } from "../dlms/association/gateway-link.ts";
import { ReceivedCounter } from "../dlms/association/protection.ts";
import type { Link } from "../dlms/bytes/link.ts";
import { hdlcAddress } from "../dlms/hdlc/address.ts";
import { HdlcClientLink } from "../dlms/hdlc/client-link.ts";
import type { HdlcParameters } from "../dlms/hdlc/parameters.ts";
import { WrapperLink } from "../dlms/wrapper/link.ts";
import type { Limits } from "../limits.ts";
import type { Refusal } from "../refusal.ts";
import type { MeterAccess } from "../storage/meter-access.ts";
import { networkOf } from "../transports/address.ts";
import { CounterLeases, type CounterStore } from "./counter-leases.ts";
import { type AssociationTuning, clientOptions, credentialsOf, PUBLIC_CLIENT } from "./credentials.ts";
import type { DialledWire, Dialler } from "./dialler.ts";
import { AssociationDriver } from "./driver.ts";
import { type MeterAssociation, type MeterRoads, type OpenOptions, PollError } from "./meter-association.ts";
import { counterAsked, readMeterCounter } from "./meter-counter.ts";
import { type Bound, Turns } from "./turns.ts";

export interface RoadSettings {
  /** 8 octets: who we are to meters. */
  readonly systemTitle: Buffer;
  /** Associations open at once; of them to one host, and to one network (/24, /64). */
  readonly associationsMax: number;
  readonly perHostMax: number;
  readonly perNetworkMax: number;
  /** Time between two associations with the same host, in ms. */
  readonly perHostIntervalMs: number;
  /** Time for an answer. */
  readonly responseMs: number;
  readonly retries: number;
  /** Frames, 1 to 7, that are proposed as window both ways. */
  readonly hdlcWindow: number;
  readonly maxReceivePduSize: number;
  /** Counters reserved at once. */
  readonly counterBlock: number;
  /** Largest jump of our own counter that a meter's word is believed for. */
  readonly counterJumpMax: number;
  readonly limits: Limits;
}

export interface RoadDependencies {
  /** null where there is no such meter. */
  readonly load: (meterId: string, clientSap: number) => Promise<MeterAccess | null>;
  readonly learn: (meterType: string, quirk: Quirk) => Promise<void>;
  readonly counters: CounterStore;
  readonly dialler: Dialler;
  readonly settings: RoadSettings;
  /** What came beside a conversation on a connection of our own. */
  readonly onNotification?: (meter: MeterAccess, notification: Notification) => void;
  /** What a meter sent in an association was refused, or it refused the association. */
  readonly onRefused?: (meter: MeterAccess, peer: string, refusal: Refusal) => void;
}

export interface Notification {
  readonly apdu: Buffer;
  readonly framing: "hdlc" | "wrapper";
  readonly source: number;
  readonly destination: number;
  readonly peer: string;
}

/** Counters that are at hand before an association begins: it needs three to stand. */
const COUNTERS_MIN = 16;
const DATAGRAM_REPEATS = 4;

/** All roads to meters, with what keeps them in order. */
export class Roads implements MeterRoads {
  readonly #with: RoadDependencies;
  readonly #turns = new Turns();
  readonly #leases: CounterLeases;

  constructor(dependencies: RoadDependencies) {
    this.#with = dependencies;
    this.#leases = new CounterLeases(dependencies.counters, dependencies.settings.counterBlock);
  }

  async open(meterId: string, options: OpenOptions): Promise<MeterAssociation> {
    const meter = await this.#with.load(meterId, options.clientSap);
    if (meter === null) throw new PollError("not-configured", `there is no active meter ${meterId}`);
    credentialsOf(meter, options.clientSap, options.keys);
    const giveBack = await this.#turns.take(this.#bounds(meter), options.purpose, options.signal);
    try {
      return await this.#openInTurn(meter, options, giveBack);
    } catch (error) {
      giveBack();
      throw error;
    }
  }

  #bounds({ id, host, transport, mode }: MeterAccess): Bound[] {
    const { associationsMax, perHostMax, perNetworkMax, perHostIntervalMs } = this.#with.settings;
    const bounds: Bound[] = [
      { name: "all", max: associationsMax },
      { name: `meter ${id}`, max: 1 },
    ];
    const connection = this.#with.dialler.connectionOf(id);
    if (connection !== null) return [...bounds, { name: connection, max: 1 }];
    if (mode === "listen" || host === null) return bounds;
    if (transport === "serial")
      return [...bounds, { name: `line ${host}`, max: 1, intervalMs: perHostIntervalMs }];
    return [
      ...bounds,
      { name: `host ${host}`, max: perHostMax, intervalMs: perHostIntervalMs },
      { name: `network ${networkOf(host)}`, max: perNetworkMax },
    ];
  }

  /** Once more where the meter says that it has seen higher counters of ours. */
  async #openInTurn(
    meter: MeterAccess,
    options: OpenOptions,
    giveBack: () => void,
  ): Promise<MeterAssociation> {
    const { keys } = credentialsOf(meter, options.clientSap, options.keys);
    if (keys === null) return this.#associate(meter, options, giveBack);
    const { keyId } = keys.encryption;
    const lease = this.#leases.of(keyId);
    if (lease.left === 0 && !(await this.#leases.store.isKnown(keyId))) {
      // The first time ever: the meter may know more of this key than we do.
      const counter = await readMeterCounter(options.clientSap, () =>
        this.#openPublic(meter, options.signal),
      );
      if (counter !== null) lease.raise(counter);
    }
    await this.#haveCounters(meter, keyId);
    try {
      return await this.#associate(meter, options, giveBack);
    } catch (error) {
      const before = lease.raised;
      const told = counterAsked(error);
      const counter =
        told ??
        (isRefusal(error)
          ? await readMeterCounter(options.clientSap, () => this.#openPublic(meter, options.signal))
          : null);
      if (counter === null || counter <= before || counter - before > this.#with.settings.counterJumpMax)
        throw error;
      lease.raise(counter);
      await this.#haveCounters(meter, keyId);
      return await this.#associate(meter, options, giveBack);
    }
  }

  async #haveCounters({ meterNumber }: MeterAccess, keyId: number): Promise<void> {
    const lease = this.#leases.of(keyId);
    if (lease.left >= COUNTERS_MIN || (await lease.reserve())) return;
    throw new PollError("counter", `meter ${meterNumber}: the invocation counter of key ${keyId} is used up`);
  }

  #openPublic(meter: MeterAccess, signal: AbortSignal | undefined): Promise<MeterAssociation> {
    const options: OpenOptions = {
      clientSap: PUBLIC_CLIENT,
      purpose: "on-demand",
      ...(signal ? { signal } : {}),
    };
    return this.#associate({ ...meter, association: null }, options, () => {});
  }

  async #associate(
    meter: MeterAccess,
    options: OpenOptions,
    giveBack: () => void,
  ): Promise<MeterAssociation> {
    const { clientSap, signal } = options;
    const credentials = credentialsOf(meter, clientSap, options.keys);
    const counters = await this.#counters(meter, clientSap, credentials.keys?.encryption.keyId ?? null);
    const wire = await this.#with.dialler.dial(meter, clientSap, signal);
    const quirks: MeterQuirks = new Set(meter.quirks as ReadonlySet<Quirk>);
    const session = await this.#session(meter, clientSap, wire, (tuning) =>
      clientOptions(meter, credentials, counters, quirks, tuning),
    );
    let stands = false;
    const association = await AssociationDriver.open({
      meterId: meter.id,
      meterNumber: meter.meterNumber,
      clientSap,
      wire,
      session,
      signal,
      reserve: () => counters?.sent.reserve() ?? Promise.resolve(false),
      onNotification: (apdu, source, destination) => this.#notify(meter, wire, { apdu, source, destination }),
      onRefused: (refusal) => this.#with.onRefused?.(meter, wire.peer, refusal),
      onEnd: async () => {
        // Without an association the turn is still needed: for another try.
        if (stands) giveBack();
        for (const quirk of quirks) {
          if (!meter.quirks.has(quirk)) await this.#with.learn(meter.meterType, quirk);
        }
        if (counters !== null) await counters.note();
      },
    });
    stands = true;
    return association;
  }

  /** On a wire that stands; it is closed, or given back, where no session can be made of what is known of the meter. */
  async #session(
    meter: MeterAccess,
    clientSap: number,
    wire: DialledWire,
    options: (tuning: AssociationTuning) => ClientOptions,
  ): Promise<ClientSession> {
    const { settings } = this.#with;
    const datagrams = meter.transport === "udp" && meter.mode === "dial";
    const responseMs = datagrams ? settings.responseMs / DATAGRAM_REPEATS : settings.responseMs;
    try {
      const link = this.#link(meter, clientSap, wire);
      const tuning = {
        ...settings,
        responseMs: wire.framing === "hdlc" ? null : responseMs,
        repeats: datagrams ? DATAGRAM_REPEATS : 0,
      };
      return new ClientSession(link, options(tuning));
    } catch (error) {
      await wire.close();
      throw error;
    }
  }

  async #counters(meter: MeterAccess, clientSap: number, keyId: number | null) {
    if (keyId === null) return null;
    const { store } = this.#leases;
    const before = await store.received(keyId, clientSap);
    const received = new ReceivedCounter(before, meter.counterMayStandStill);
    return {
      sent: this.#leases.of(keyId),
      received,
      note: async () => {
        if (received.high > before) await store.noteReceived(keyId, clientSap, received.high);
      },
    };
  }

  #link(meter: MeterAccess, clientSap: number, wire: DialledWire): Link {
    const { settings } = this.#with;
    const { serverSap, physicalAddress, gateway } = meter;
    const link =
      wire.framing === "hdlc"
        ? new HdlcClientLink({
            client: hdlcAddress(clientSap),
            server: hdlcAddress(serverSap, physicalAddress),
            parameters: linkParameters(meter.transport, settings.hdlcWindow),
            responseMs: settings.responseMs,
            retries: settings.retries,
            pollAgainMs: 200,
            busyMs: settings.responseMs * 4,
            apduOctetsMax: settings.limits.pollBytesMax,
          })
        : new WrapperLink({ own: clientSap, peer: serverSap, payloadOctetsMax: 0xffff });
    return gateway === null ? link : new GatewayLink(link, gateway);
  }

  #notify(
    meter: MeterAccess,
    wire: DialledWire,
    found: Pick<Notification, "apdu" | "source" | "destination">,
  ): void {
    if (wire.deliver !== undefined) wire.deliver(found.apdu, found.source, found.destination);
    else this.#with.onNotification?.(meter, { ...found, framing: wire.framing, peer: wire.peer });
  }
}

/** Octets of an information field: 128, as every meter takes them, on serial lines; more on networks. */
const INFORMATION_OCTETS = { serial: 128, network: 1_024 } as const;

function linkParameters(transport: MeterAccess["transport"], window: number): HdlcParameters {
  const octets = INFORMATION_OCTETS[transport === "serial" ? "serial" : "network"];
  return {
    informationTransmit: octets,
    informationReceive: octets,
    windowTransmit: window,
    windowReceive: window,
  };
}

function isRefusal(error: unknown): boolean {
  return error instanceof PollError && error.failure === "association-refused";
}
