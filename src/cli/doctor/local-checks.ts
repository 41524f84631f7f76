import { accessSync, constants, existsSync, statfsSync } from "node:fs";
import { dirname } from "node:path";
import { type Finding, note, ok, wrong } from "../../finding.ts";
import { whoReads } from "../../keys/kek-file.ts";
import type { Config } from "../../settings.ts";
import { parseSocketAddress } from "../../transports/address.ts";

const GIB = 2 ** 30;
/** Free space under which the embedded database or the spool will soon be full. */
const FREE_WRONG = { share: 0.05, octets: GIB };
const FREE_NOTE = { share: 0.15, octets: 5 * GIB };
const ANSWER_MS = 2_000;

/** The nearest directory that is there: what isn't made yet lies on the same disk. */
function existing(path: string): string {
  for (let at = path; ; at = dirname(at)) if (existsSync(at) || at === dirname(at)) return at;
}

function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

export function checkDirectory(name: string, path: string): Finding[] {
  const at = existing(path);
  const { bavail, blocks, bsize } = statfsSync(at);
  if (!isWritable(at) || blocks === 0) {
    return [
      wrong(
        "disk",
        `${name} ${path} can't be written`,
        `give it to the user that runs the daemon, or set ${name}`,
      ),
    ];
  }
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
        "it is made at the first start of a new installation; keep a copy of it apart from the database's backup",
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
