import { randomBytes } from "node:crypto";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import type { MeterObjects } from "../../src/dlms/association/meter-objects.ts";
import { ServerAssociation } from "../../src/dlms/association/server.ts";
import type { AssociationPolicy } from "../../src/dlms/association/server-options.ts";
import { ServerSession, type ServerSessionOptions } from "../../src/dlms/association/server-session.ts";
import { LIMITS, SERVER_TITLE } from "./associations.ts";

export interface MeterServerOptions {
  readonly framing: "hdlc" | "wrapper";
  readonly transport?: "tcp" | "udp";
  /** 127.0.0.1 where it isn't said. */
  readonly host?: string;
  /** HDLC frames that it agrees to as window; 1 where it isn't said. */
  readonly window?: number;
  readonly objects: (serverSap: number) => MeterObjects;
  /** Made anew for each connection; null: not a client of this meter. */
  readonly policy: (clientSap: number) => AssociationPolicy | null;
  readonly serverSaps?: readonly number[];
  readonly pdu?: number;
  readonly systemTitle?: Buffer;
}

export interface MeterServer {
  readonly port: number;
  readonly connections: number;
  /** The first octets of the connection that was opened last, up to 1,000. */
  readonly heard: Buffer;
  /** The session of the connection that was opened last. */
  readonly session: ServerSession;
  /** Sends what the session has to say. */
  flush(): void;
  close(): Promise<void>;
}

/** A meter on loopback: product code for the protocol, objects from a test. */
export async function meterServer(options: MeterServerOptions): Promise<MeterServer> {
  return options.transport === "udp" ? udpMeter(options) : tcpMeter(options);
}

function newSession({
  framing,
  objects,
  policy,
  pdu = 1_024,
  serverSaps = [1],
  systemTitle,
  transport,
  window = 1,
}: MeterServerOptions) {
  const associationOf = (clientSap: number, serverSap: number) =>
    serverSaps.includes(serverSap)
      ? new ServerAssociation({
          clientSap,
          serverSap,
          systemTitle: systemTitle ?? SERVER_TITLE,
          policy: policy(clientSap),
          objects: objects(serverSap),
          randomOctets: randomBytes,
          maxReceivePduSize: pdu,
          limits: LIMITS,
          apduOctetsMax: 1_048_576,
          blockWindow: 8,
          datagrams: transport === "udp",
        })
      : null;
  const session: ServerSessionOptions =
    framing === "wrapper"
      ? { framing, associationOf, payloadOctetsMax: 0xffff }
      : {
          framing,
          associationOf,
          station: {
            parameters: {
              informationTransmit: 1_024,
              informationReceive: 1_024,
              windowTransmit: window,
              windowReceive: window,
            },
            inactivityMs: 120_000,
            answerMs: 500,
            apduOctetsMax: 1_048_576,
            physicalDevice: null,
            logicalDevices: serverSaps,
            interOctetMs: 1_000,
          },
        };
  return new ServerSession(session);
}

async function tcpMeter(options: MeterServerOptions): Promise<MeterServer> {
  const sockets = new Set<Socket>();
  let session = newSession(options);
  let current: Socket | null = null;
  let connections = 0;
  let heard = Buffer.alloc(0);
  const flush = (to: Socket | null, from: ServerSession) => {
    for (let octets = from.takeOutput(); octets !== null; octets = from.takeOutput()) to?.write(octets);
  };
  const server = createServer((socket) => {
    connections++;
    sockets.add(socket);
    socket.setNoDelay(true);
    const own = newSession(options);
    session = own;
    current = socket;
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
    heard = Buffer.alloc(0);
    socket.on("data", (octets) => {
      if (heard.length < 1_000) heard = Buffer.concat([heard, octets]);
      own.receive(octets, performance.now());
      flush(socket, own);
    });
  });
  server.listen(0, options.host ?? "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    get connections() {
      return connections;
    },
    get heard() {
      return heard;
    },
    get session() {
      return session;
    },
    flush: () => flush(current, session),
    close: async () => {
      for (const socket of sockets) socket.destroy();
      const closed = once(server, "close");
      server.close();
      await closed;
    },
  };
}

async function udpMeter(options: MeterServerOptions): Promise<MeterServer> {
  const { host = "127.0.0.1" } = options;
  const socket = createSocket(host.includes(":") ? "udp6" : "udp4");
  const session = newSession(options);
  socket.on("message", (octets, from) => {
    session.receive(octets, performance.now());
    for (let out = session.takeOutput(); out !== null; out = session.takeOutput()) {
      socket.send(out, from.port, from.address);
    }
  });
  socket.bind(0, host);
  await once(socket, "listening");
  return {
    port: socket.address().port,
    connections: 0,
    heard: Buffer.alloc(0),
    session,
    flush: () => {},
    close: async () => {
      const closed = once(socket, "close");
      socket.close();
      await closed;
    },
  };
}
