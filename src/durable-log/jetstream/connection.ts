import { readFile } from "node:fs/promises";
import {
  type ConnectionOptions,
  connect,
  credsAuthenticator,
  type NatsConnection,
  type TlsOptions,
} from "@nats-io/transport-node";

/** How the brokers are reached. Empty texts: not used. */
export interface BrokerAccess {
  /** `nats://host:4222`, or `tls://host:4222` where only TLS will do. */
  readonly servers: readonly string[];
  /** File with a user's JWT and seed, as `nsc` writes it. */
  readonly credentialsFile: string;
  readonly user: string;
  readonly password: string;
  /** PEM: authorities that brokers' certificates are checked with, and our own certificate and key. */
  readonly tlsCaFile: string;
  readonly tlsCertFile: string;
  readonly tlsKeyFile: string;
}

/** The brokers can't be reached, refuse us, or hold something else than they should. The text says what to do. */
export class BrokerError extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, { cause });
    this.name = "BrokerError";
  }
}

/** Time for one attempt to connect, and for an answer to a request about streams. */
export const CONNECT_MS = 5_000;
const RECONNECT_MS = 250;

/** Connects, and goes on connecting for ever once that has come off. Throws BrokerError. */
export async function connectBrokers(access: BrokerAccess, name: string): Promise<NatsConnection> {
  const servers = [...access.servers];
  const where = servers.join(", ");
  let options: ConnectionOptions;
  try {
    options = { servers, name, timeout: CONNECT_MS, ...(await identity(access)) };
  } catch (error) {
    throw new BrokerError(`What JetStream is to be reached with can't be read: ${textOf(error)}`, error);
  }
  try {
    return await connect({ ...options, maxReconnectAttempts: -1, reconnectTimeWait: RECONNECT_MS });
  } catch (error) {
    throw new BrokerError(`JetStream can't be reached at ${where}: ${textOf(error)}`, error);
  }
}

async function identity(access: BrokerAccess): Promise<Partial<ConnectionOptions>> {
  const { credentialsFile, user, password } = access;
  const tls = await tlsOptions(access);
  return {
    ...(tls === null ? {} : { tls }),
    ...(user === "" ? {} : { user, pass: password }),
    ...(credentialsFile === "" ? {} : { authenticator: credsAuthenticator(await readFile(credentialsFile)) }),
  };
}

/** null: TLS where the broker asks for it, checked with the system's authorities. */
async function tlsOptions(access: BrokerAccess): Promise<TlsOptions | null> {
  const { servers, tlsCaFile, tlsCertFile, tlsKeyFile } = access;
  const given = Object.entries({ ca: tlsCaFile, cert: tlsCertFile, key: tlsKeyFile }).filter(
    ([, file]) => file !== "",
  );
  if (given.length === 0 && !servers.some((server) => server.startsWith("tls://"))) return null;
  const texts = given.map(async ([part, file]) => [part, await readFile(file, "utf8")] as const);
  return Object.fromEntries(await Promise.all(texts));
}

export function textOf(error: unknown): string {
  const { message } = error as Error;
  return message === "" ? String(error) : message;
}
