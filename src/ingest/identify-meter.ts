import { boundedCache } from "../bounded-cache.ts";
import type { CapturedPush } from "../mapping/captured.ts";
import type { MeterDirectory, MeterRecord } from "../storage/meter-record.ts";
import type { Arrival } from "./arrival.ts";
import type { IngestDependencies } from "./dependencies.ts";
import { RefusedError } from "./refused-error.ts";
import { lookUp, type Patience, type Steps } from "./steps.ts";

/** How sure a body makes us that it is the meter's own. */
export type Naming =
  /** It names the meter. */
  | "named"
  /** It names nobody. */
  | "unnamed"
  /** It bears a name that no meter has. */
  | "unfamiliar";

/** Names of which is known whose they are, and for how long that is believed. */
const NAMES_MAX = 50_000;
const NAMES_MS = 60_000;
const NOBODY = "";

/** Whose frame is it: by system title, by a name in the body, or by the address that it came from. */
export class MeterFinder {
  private readonly with: IngestDependencies;
  private readonly directory: MeterDirectory;
  private readonly patience: Patience;
  /** Ids of the meters that bear a name. */
  private readonly bearers = boundedCache<string>(NAMES_MAX, { ttl: NAMES_MS });

  constructor(dependencies: IngestDependencies, patience: Patience) {
    this.with = dependencies;
    this.directory = dependencies.directory;
    this.patience = patience;
  }

  /** Throws RefusedError `unknown_system_title`. */
  *bySystemTitle(systemTitle: string): Steps<MeterRecord> {
    const known = this.directory.peekBySystemTitle(systemTitle);
    if (known) return known;
    const found =
      known === undefined
        ? yield* lookUp(() => this.directory.bySystemTitle(systemTitle), this.patience)
        : known;
    if (found !== null) return found;
    const registered = yield* this.registered(systemTitle, systemTitle);
    if (registered !== null) return registered;
    const keep = this.with.security.unknownMeters !== "refuse";
    throw new RefusedError(
      "unknown_system_title",
      `no meter has the system title ${systemTitle}`,
      null,
      keep,
    );
  }

  /** For frames without a system title: the connection's meter, or the one that calls from there. */
  *byConnection({ lastMeter, peer, behindGateway }: Arrival): Steps<MeterRecord> {
    if (behindGateway !== undefined) return yield* this.byGateway(behindGateway);
    if (lastMeter !== null) return lastMeter;
    const found = yield* lookUp(() => this.directory.byHost(peer), this.patience);
    if (found !== null) return found;
    throw new RefusedError(
      "unknown_meter",
      "ciphered without a system title, and no meter is bound to this address",
    );
  }

  /** The meter that a gateway says it is of. Others may be on the same connection. */
  private *byGateway(name: string): Steps<MeterRecord> {
    const found = yield* lookUp(() => this.directory.byIdentifier(name), this.patience);
    if (found !== null) return found;
    const keep = this.with.security.unknownMeters !== "refuse";
    throw new RefusedError(
      "unknown_meter",
      `no meter has the name ${name}, by which a gateway calls it`,
      null,
      keep,
    );
  }

  /** For a notification in clear: by what it says of itself, else by its address. Throws RefusedError `unknown_meter`. */
  *byBody({ identifiers }: CapturedPush, { peer, behindGateway }: Arrival): Steps<MeterRecord> {
    for (const identifier of identifiers) {
      const found = yield* this.byIdentifier(identifier);
      if (found !== null) return found;
    }
    if (behindGateway !== undefined) return yield* this.byGateway(behindGateway);
    const caller = yield* lookUp(() => this.directory.byHost(peer), this.patience);
    if (caller !== null) return caller;
    const name = identifiers[0];
    const registered = name === undefined ? null : yield* this.registered(name, null);
    if (registered !== null) return registered;
    const keep = this.with.security.unknownMeters !== "refuse";
    const text =
      name === undefined
        ? "the body names no meter, and none is bound to this address"
        : `no meter has the name ${name}`;
    throw new RefusedError("unknown_meter", text, null, keep);
  }

  private *registered(meterNumber: string, systemTitle: string | null): Steps<MeterRecord | null> {
    const { registrar, security } = this.with;
    if (registrar === null || security.unknownMeters !== "register") return null;
    return yield* lookUp(() => registrar.register({ meterNumber, systemTitle }), this.patience);
  }

  /** The same as `naming` where nobody has to be asked; else undefined. */
  peekNaming(identifiers: readonly string[], meter: MeterRecord): Naming | undefined {
    let naming: Naming = "unnamed";
    for (const identifier of identifiers) {
      const bearer = this.knownBearer(identifier, meter);
      if (bearer === undefined) return undefined;
      naming = namingWith(naming, bearer);
    }
    return naming;
  }

  /** Throws RefusedError `identity_mismatch` where the body bears another meter's name. */
  *naming(identifiers: readonly string[], meter: MeterRecord): Steps<Naming> {
    let naming: Naming = "unnamed";
    for (const identifier of identifiers) {
      const bearer = this.knownBearer(identifier, meter) ?? (yield* this.bearerOf(identifier, meter));
      naming = namingWith(naming, bearer);
    }
    return naming;
  }

  /** The meter itself, or nobody; undefined: it isn't known whether another bears the name. */
  private knownBearer(identifier: string, meter: MeterRecord): string | undefined {
    if (identifier === meter.meterNumber || identifier === meter.logicalDeviceName) return meter.id;
    const known = this.bearers.get(identifier);
    return known === NOBODY || known === meter.id ? known : undefined;
  }

  private *byIdentifier(identifier: string): Steps<MeterRecord | null> {
    const known = this.directory.peekByIdentifier(identifier);
    if (known !== undefined) return known;
    return yield* lookUp(() => this.directory.byIdentifier(identifier), this.patience);
  }

  /** The meter itself, or nobody. Throws RefusedError `identity_mismatch`. */
  private *bearerOf(identifier: string, meter: MeterRecord): Steps<string> {
    const found = yield* this.byIdentifier(identifier);
    if (found !== null && found.id !== meter.id) {
      const text = `sent as ${meter.meterNumber}, but the body names ${identifier}`;
      throw new RefusedError("identity_mismatch", text, meter.id);
    }
    const bearer = found?.id ?? NOBODY;
    this.bearers.set(identifier, bearer);
    return bearer;
  }
}

/** One name that is the meter's own is enough. */
function namingWith(naming: Naming, bearer: string): Naming {
  if (naming === "named" || bearer !== NOBODY) return "named";
  return "unfamiliar";
}
