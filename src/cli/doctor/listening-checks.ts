import { accessSync, constants } from "node:fs";
import { type Finding, ok, wrong } from "../../finding.ts";
import type { Config } from "../../settings.ts";
import { parseSocketAddress } from "../../transports/address.ts";
import { TransportError } from "../../transports/errors.ts";
import { dialTcp } from "../../transports/tcp-dialler.ts";
import { TcpListener } from "../../transports/tcp-listener.ts";
import { UdpListener } from "../../transports/udp-listener.ts";

const BROKER_MS = 3_000;
const BROKER_PORT = 4_222;

interface Listening {
  readonly setting: "listen.tcp" | "listen.udp" | "http.listen";
  readonly address: string;
}

/** Whether what the daemon listens on can be listened on: addresses and serial lines. With a daemon running they are its own. */
export async function checkPorts({ listen, http }: Config, running: boolean): Promise<Finding[]> {
  const wanted: Listening[] = [
    ...listen.tcp.map((address) => ({ setting: "listen.tcp", address }) as const),
    ...listen.udp.map((address) => ({ setting: "listen.udp", address }) as const),
    // Where a daemon answers on it, it is ours.
    ...(http.listen === "" || running ? [] : [{ setting: "http.listen", address: http.listen } as const]),
  ];
  const found = await Promise.all(wanted.map((one) => checkPort(one, running)));
  return [...found, ...listen.serial.map(({ path }) => checkSerial(path))];
}

async function checkPort({ setting, address }: Listening, running: boolean): Promise<Finding> {
  const what = setting === "listen.udp" ? `udp ${address}` : address;
  try {
    await tryListening(setting, address);
    return running
      ? wrong(
          "ports",
          `the daemon runs and doesn't listen on ${what}`,
          "it was started with another configuration: start it again",
        )
      : ok("ports", `${what} is free`);
  } catch (error) {
    if (!(error instanceof TransportError)) throw error;
    if (running && error.code === "EADDRINUSE") return ok("ports", `the daemon listens on ${what}`);
    return wrong("ports", error.message, whatToDo(error.code, setting));
  }
}

async function tryListening(setting: Listening["setting"], address: string): Promise<void> {
  const options = { address: parseSocketAddress(address), onError: () => undefined };
  const listener =
    setting === "listen.udp"
      ? await UdpListener.listen({ ...options, onDatagram: () => undefined })
      : await TcpListener.listen({
          ...options,
          connections: { open: 0, max: 0 },
          onConnection: (connection) => connection.destroy(),
        });
  await listener.close();
}

function whatToDo(code: string, setting: string): string {
  if (code === "EACCES") return `a port under 1024 needs the right to it: allow it, or set ${setting}`;
  if (code === "EADDRNOTAVAIL") return `this machine doesn't have that address: set ${setting}`;
  const daemon = setting === "http.listen" ? "" : " (and http.listen, where a daemon runs already)";
  return `stop the other program, or set ${setting}${daemon}`;
}

/** Only looked at: opening it would take octets from a daemon that reads it. */
function checkSerial(path: string): Finding {
  try {
    accessSync(path, constants.R_OK | constants.W_OK);
    return ok("ports", `serial line ${path} is there`);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ENOENT"
      ? wrong("ports", `serial line ${path} isn't there`, "plug it in, or set listen.serial")
      : wrong(
          "ports",
          `serial line ${path} can't be read and written`,
          "put the user that runs the daemon into the group of the line (dialout on most systems)",
        );
  }
}

/** Whether each NATS server takes connections; nothing where the durable log is the spool. */
export async function checkBrokers({ durableLog, jetstream }: Config): Promise<Finding[]> {
  if (durableLog.kind !== "jetstream") return [];
  return Promise.all(
    jetstream.servers.map(async (server) => {
      const { hostname, port } = new URL(server);
      try {
        const address = { host: hostname.replace(/^\[|\]$/g, ""), port: Number(port) || BROKER_PORT };
        (await dialTcp({ ...address, timeoutMs: BROKER_MS })).destroy();
        return ok("jetstream", `${server} takes connections`);
      } catch (error) {
        return wrong(
          "jetstream",
          (error as Error).message,
          "start it, or look at jetstream.servers and the network in between; with a majority of them the daemon goes on",
        );
      }
    }),
  );
}
