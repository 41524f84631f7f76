import { Command } from "commander";
import { loadConfig } from "../../config.ts";
import { openConfiguredDatabase } from "../../configured-database.ts";
import { isKekMissing, openKeyRing } from "../../configured-keys.ts";
import { EXIT, UserError } from "../../exit.ts";
import { type Finding, note, ok, wrong } from "../../finding.ts";
import { createLog } from "../../log.ts";
import type { Config } from "../../settings.ts";
import type { Database } from "../../storage/database.ts";
import { inspectDatabase, isMigrated } from "../../storage/inspect-database.ts";
import { findReach, inspectMeters, inspectSealed } from "../../storage/inspect-meters.ts";
import { inspectTimescale } from "../../storage/inspect-timescale.ts";
import { howToReach, inspect } from "../../storage/inspection.ts";
import { dialTcp } from "../../transports/tcp-dialler.ts";
import type { Program } from "../program.ts";
import { checkBrokers, checkPorts } from "./listening-checks.ts";
import { askDaemon, checkDirectory, checkKek } from "./local-checks.ts";

const DIAL_MS = 10_000;
/** A table that somebody has locked isn't waited for. */
const PATIENCE = { statementTimeoutMs: 20_000, lockTimeoutMs: 2_000 };

export function doctorCommand(program: Program): Command {
  return new Command("doctor")
    .description(
      "Look at everything that the daemon needs, and say what is wrong and what to do about it; changes nothing",
    )
    .argument("[meter]", "number of a meter whose reachability is looked at, too")
    .option("--json", "for scripts")
    .action(async (meter: string | undefined, options: { json?: true }) => {
      // A configuration that can't be used ends here, with every problem named.
      const { config } = loadConfig(program.configFile());
      const findings = [...(await lookAround(config)), ...(await lookInside(config, meter))];
      program.print(options.json ? JSON.stringify(findings, null, 2) : findings.map(line).join("\n"));
      const bad = findings.filter(({ level }) => level === "wrong").length;
      if (!options.json) program.print(bad === 0 ? "Nothing is wrong." : `${bad} of these must be mended.`);
      if (bad > 0) program.finish(EXIT.unavailable);
    });
}

const MARKS = { ok: "ok   ", note: "note ", wrong: "WRONG" } as const;
const line = ({ level, area, what, todo }: Finding) =>
  `${MARKS[level]} ${area.padEnd(13)} ${what}${todo === null ? "" : `\n      ${" ".repeat(13)} → ${todo}`}`;

async function lookAround(config: Config): Promise<Finding[]> {
  const daemon = await askDaemon(config);
  return [
    ok("configuration", "every setting can be used"),
    daemon ?? note("daemon", `none answers on ${config.http.listen || "HTTP, which is switched off"}`),
    ...(await checkPorts(config, daemon !== null)),
    ...(await checkBrokers(config)),
    ...checkDirectory("data_dir", config.dataDir),
    ...(config.spool.dir.startsWith(config.dataDir) ? [] : checkDirectory("spool.dir", config.spool.dir)),
    checkKek(config),
  ];
}

async function lookInside(config: Config, meter: string | undefined): Promise<Finding[]> {
  const log = createLog({ ...config.log, level: "error" });
  let opened: Awaited<ReturnType<typeof openConfiguredDatabase>>;
  try {
    opened = await openConfiguredDatabase(config, {
      log,
      use: "keys",
      poolMax: 2,
      patience: PATIENCE,
    });
  } catch (error) {
    return [wrong("database", (error as Error).message, howToReach((error as Error).cause))];
  }
  try {
    return await inspectAll(config, opened.database, meter);
  } finally {
    await opened.close();
  }
}

async function inspectAll(config: Config, database: Database, meter: string | undefined): Promise<Finding[]> {
  const { poolMax } = config.database;
  const expected = { timeZone: config.time.zone, poolMax, now: Date.now };
  const findings = await inspectDatabase(database, expected);
  if (!isMigrated(findings)) return findings;
  return [
    ...findings,
    ...(await inspect([
      ["chunks", () => inspectTimescale(database)],
      ["keys", () => inspectKeyring(config, database)],
      ...(meter === undefined ? [] : [["meter", () => reach(database, meter)] as const]),
    ])),
  ];
}

/** Looking makes no key-encryption key. */
async function inspectKeyring(config: Config, database: Database): Promise<Finding[]> {
  const { kekCredential, kekFile } = config.security;
  try {
    if (!isKekMissing(config)) return await inspectMeters(database, openKeyRing(config));
    return [...(await inspectSealed(database, kekFile)), ...(await inspectMeters(database, null))];
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    const setting = kekCredential === "" ? "kek_file" : "kek_credential";
    return [
      wrong("keys", error.message, `see security.${setting}`),
      ...(await inspectMeters(database, null)),
    ];
  }
}

async function reach(database: Database, number: string): Promise<Finding[]> {
  const meter = await findReach(database, number);
  if (!meter)
    return [wrong("meter", `there is none of the number ${number}`, "`hes meters list` shows them")];
  const seen =
    meter.lastSeenAt === null
      ? note(
          "meter",
          `${number} was never heard of`,
          "is its push destination this head-end? Look at security_events for refused frames",
        )
      : ok("meter", `${number} was heard of at ${new Date(meter.lastSeenAt).toISOString()}`);
  const status =
    meter.status === "active"
      ? []
      : [note("meter", `${number} is ${meter.status}`, "what it sends is refused until it is active")];
  return [seen, ...status, await call(number, meter)];
}

async function call(
  number: string,
  { mode, host, port }: NonNullable<Awaited<ReturnType<typeof findReach>>>,
): Promise<Finding> {
  if (mode === "listen") return ok("meter", `${number} calls by itself (mode listen); it isn't dialled`);
  if (host === null || port === null) {
    return wrong(
      "meter",
      `${number} is to be dialled and has no ${host === null ? "host" : "port"}`,
      "set it, by `hes meters import`",
    );
  }
  try {
    const connection = await dialTcp({ host, port, timeoutMs: DIAL_MS });
    connection.destroy();
    return ok("meter", `${host}:${port} takes connections`);
  } catch (error) {
    return wrong(
      "meter",
      (error as Error).message,
      "look at the meter's modem, its address, and firewalls on the way",
    );
  }
}
