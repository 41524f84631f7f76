import { accessSync, constants, existsSync, statfsSync } from "node:fs";
import { dirname } from "node:path";
import { type Finding, note, ok, wrong } from "../../finding.ts";
import { whoReads } from "../../keys/kek-file.ts";
import type { Config } from "../../settings.ts";
import { parseSocketAddress } from "../../transports/address.ts";
import { TransportError } from "../../transports/errors.ts";
import { TcpListener } from "../../transports/tcp-listener.ts";

const GIB = 2 ** 30;
/** Free space under which the embedded database or the spool will soon be full. */
const FREE_WRONG = { share: 0.05, octets: GIB };
const FREE_NOTE = { share: 0.15, octets: 5 * GIB };
const ANSWER_MS = 2_000;

/** The nearest directory that is there: what isn't made yet lies on the same disk. */
function existing(path: string): string {
  for (let at = path; ; at = dirname(at)) if (existsSync(at) || at === dirname(at)) return at;
}

export function checkDirectory(name: string, path: string): Finding[] {
  const at = existing(path);
  try {
    accessSync(at, constants.W_OK);
  } catch {
    return [
      wrong(
        "disk",
        `${name} ${path} can't be written`,
        `give it to the user that runs the daemon, or set ${name}`,
      ),
    ];
  }
  const { bavail, blocks, bsize } = statfsSync(at);
  const [free, share] = [bavail * bsize, bavail / blocks];
  const what = `${name} ${path} has ${(free / GIB).toFixed(1)} GiB free (${Math.round(share * 100)} %)`;
  const below = (limit: { share: number; octets: number }) => share < limit.share || free < limit.octets;
  if (below(FREE_WRONG))
    return [wrong("disk", what, "make room: a full disk stops the acknowledging of pushes")];
  return [below(FREE_NOTE) ? note("disk", what, "make room before it is full") : ok("disk", what)];
}

export function checkKek({ security: { kekCredential, kekFile } }: Config): Finding {
  if (kekCredential !== "") {
    return ok("keys", `the key-encryption key is the systemd credential ${kekCredential}`);
  }
  switch (whoReads(kekFile)) {
    case "missing":
      return note(
        "keys",
        `${kekFile} isn't there yet`,
        "it is made at the first start; keep a copy of it apart from the database's backup",
      );
    case "owner":
      return ok("keys", `only its owner may read ${kekFile}`);
    case "group":
      return note(
        "keys",
        `its group may read ${kekFile}`,
        "let nobody be in it who needn't open meters' keys",
      );
    case "others":
      return wrong("keys", `others may read or change ${kekFile}`, `chmod 400 ${kekFile}`);
  }
}

/** What a running daemon says of itself; null where none answers. */
export async function askDaemon(config: Config): Promise<Finding | null> {
  if (config.http.listen === "") return null;
  const { host, port } = parseSocketAddress(config.http.listen);
  const at = ["::", "0.0.0.0"].includes(host) ? "127.0.0.1" : host;
  try {
    const answer = await fetch(`http://${at.includes(":") ? `[${at}]` : at}:${port}/readyz`, {
      signal: AbortSignal.timeout(ANSWER_MS),
    });
    const report = (await answer.json()) as { status?: string; parts?: Record<string, string> };
    if (report.status === undefined) return null;
    const parts = Object.entries(report.parts ?? {}).map(([part, condition]) => `${part}: ${condition}`);
    const what = `it runs and is ${report.status}${parts.length > 0 ? ` (${parts.join(", ")})` : ""}`;
    return report.status === "ready" ? ok("daemon", what) : wrong("daemon", what, "its log says why");
  } catch {
    return null;
  }
}

/** Whether the addresses that meters connect to can be listened on. With a daemon running they are its own. */
export async function checkPorts(config: Config, running: boolean): Promise<Finding[]> {
  return Promise.all(config.listen.tcp.map((address) => checkPort(address, running)));
}

async function checkPort(address: string, running: boolean): Promise<Finding> {
  try {
    const listener = await TcpListener.listen({
      address: parseSocketAddress(address),
      connections: { open: 0, max: 0 },
      onConnection: (connection) => connection.destroy(),
      onError: () => undefined,
    });
    await listener.close();
    return running
      ? wrong(
          "ports",
          `the daemon runs and doesn't listen on ${address}`,
          "it was started with another configuration: start it again",
        )
      : ok("ports", `${address} is free`);
  } catch (error) {
    if (!(error instanceof TransportError)) throw error;
    if (running && error.code === "EADDRINUSE") return ok("ports", `the daemon listens on ${address}`);
    return wrong(
      "ports",
      error.message,
      "stop the other program, or set listen.tcp (and http.listen, where a daemon runs already)",
    );
  }
}
