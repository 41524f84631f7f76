import { createHash } from "node:crypto";
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { acceleratedClock } from "../../simulator/clock.ts";
import { Fleet } from "../../simulator/fleet.ts";
import { open } from "../../src/keys/envelope.ts";
import { fileKek } from "../../src/keys/kek-file.ts";
import { type DaemonProcess, eventually, sendOnce, startDaemonProcess } from "../support/daemon.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { type CommandLine, commandLine } from "../support/hes.ts";
import { ciphered, notification, obis, structure, u32, wrapped } from "../support/wire.ts";

/** A process that starts on a busy machine takes its time. */
vi.setConfig({ testTimeout: 180_000 });

/** Octets that stand nowhere else: whatever is found of them came from here. */
const secretOf = (name: string, octets = 16) =>
  createHash("sha256").update(`no log may hold ${name}`).digest().subarray(0, octets);
const KEYS = {
  guek: secretOf("guek"),
  gak: secretOf("gak"),
  master: secretOf("master"),
  associationGuek: secretOf("an association's guek"),
  dedicated: secretOf("dedicated"),
  /** As makers print them. */
  password: Buffer.from("Pw-91x7Kq!vTz3mB"),
};
const TITLE = Buffer.from("5345430000000001", "hex");
const METER = "SECRET0001";

let test: TestDatabase;
let cli: CommandLine;
let daemon: DaemonProcess;
let fleet: Fleet;
let dataDir: string;
let formerKek: Buffer;
/** Everything that was printed or kept, by where. */
const said = new Map<string, Buffer>();

beforeAll(async () => {
  test = await createTestDatabase();
  dataDir = mkdtempSync(join(tmpdir(), "hes-secrets-"));
  cli = commandLine(test.url, dataDir);
  fleet = new Fleet({
    ...{
      meters: 1,
      models: ["D1"],
      seed: 5,
      firstCounter: 1,
      clock: acceleratedClock(Date.now(), 1, Date.now),
    },
    target: { host: "127.0.0.1", port: 1 },
    schedule: { instantSeconds: 3_600, blockPushSeconds: null, incidentsPerDay: 0, history: false },
    choices: { protection: 0x30, framing: "wrapper" },
    listen: { host: "127.0.0.1", port: 0 },
  });
  await fleet.listen();
}, 120_000);
afterAll(async () => {
  await daemon?.end("SIGKILL");
  await fleet.stop();
  cli.remove();
  rmSync(dataDir, { recursive: true, force: true });
  await test.drop();
});

/** The rows of every table, as a dump has them; bytea is hex there. */
async function dump(): Promise<void> {
  const tables = await test.database.query(
    `SELECT c.oid::regclass::text AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE n.nspname IN ('hes', 'public') AND c.relkind IN ('r', 'p')`,
  );
  for (const { name } of tables) {
    const rows = await test.database.query(`SELECT t::text AS row FROM ${name} t`);
    said.set(`table ${name}`, Buffer.from(rows.map(({ row }) => row).join("\n")));
  }
  expect(tables.length).toBeGreaterThan(30);
}

function keptFiles(): void {
  for (const entry of readdirSync(dataDir, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isFile() && path !== join(dataDir, "kek")) said.set(path, readFileSync(path));
  }
}

/** Octets, hex in both cases, base64 at each of the three places that a text around it may give it, and decimal lists. */
function spellings(secret: Buffer): [string, Buffer][] {
  const hex = secret.toString("hex");
  const base64 = [0, 1, 2].map((shift) => {
    const text = Buffer.concat([Buffer.alloc(shift), secret]).toString("base64");
    // What depends on the octets around it is left out.
    return text.slice(Math.ceil((shift * 4) / 3) + 1, -4);
  });
  return [
    ["octets", secret],
    ["hex", Buffer.from(hex)],
    ["HEX", Buffer.from(hex.toUpperCase())],
    ["text", Buffer.from(secret.toString("latin1"), "utf8")],
    ["decimal", Buffer.from(secret.join(","))],
    ["octets in JSON", Buffer.from(secret.join(", "))],
    ...base64.map((text, shift): [string, Buffer] => [`base64 from ${shift}`, Buffer.from(text)]),
  ];
}

/** All keys that are, and were, in the database: those that rotations made with them. */
async function keptKeys(): Promise<Record<string, Buffer>> {
  const keks = fileKek(join(dataDir, "kek"));
  const rows = await test.database.query(
    "SELECT id, meter_id, kind, state, envelope, system_title FROM meter_keys ORDER BY id",
  );
  return Object.fromEntries(
    rows.map(({ id, meter_id: meterId, kind, state, envelope, system_title: systemTitle }) => [
      `${kind} ${state} ${id}`,
      open(envelope as Buffer, { meterId, kind, keyId: id, systemTitle } as never, keks),
    ]),
  );
}

/** Of the fleet's meter, as they stand in the files that import them: passwords and secrets of HLS with its keys. */
function fleetSecrets(): Record<string, Buffer> {
  const cells = `${fleet.importCsv()}${fleet.keysCsv()}`.match(/\b[0-9a-fA-F]{32}\b|text:[^,\n]+/g) ?? [];
  return Object.fromEntries(
    cells.map((cell, n) => [
      `secret ${n} of the fleet`,
      cell.startsWith("text:") ? Buffer.from(cell.slice(5)) : Buffer.from(cell, "hex"),
    ]),
  );
}

async function leaks(): Promise<string[]> {
  const kept = await keptKeys();
  const imported = fleetSecrets();
  expect(Object.keys(kept).length).toBeGreaterThanOrEqual(11);
  expect(Object.keys(imported).length).toBeGreaterThanOrEqual(5);
  const { password } = new URL(test.url);
  const secrets = {
    ...{ ...KEYS, ...kept, ...imported },
    // Another server (HES_TEST_POSTGRES_URL) may ask for none.
    ...(password === "" ? {} : { "password of the database": Buffer.from(password) }),
    kek: fileKek(join(dataDir, "kek")).current().key.export(),
    "former kek": formerKek,
  };
  return Object.entries(secrets).flatMap(([name, secret]) =>
    spellings(secret).flatMap(([spelling, octets]) =>
      [...said]
        .filter(([, text]) => text.includes(octets))
        .map(([where]) => `${name} as ${spelling} in ${where}`),
    ),
  );
}

const push = (counter: number, keys = KEYS) =>
  ciphered(notification(counter, structure(structure(obis("1.0.1.8.0.255"), u32(counter)))), 0x30, counter, {
    systemTitle: TITLE,
    guek: keys.guek,
    gak: keys.gak,
  });

async function run(name: string, ...argv: string[]): Promise<number> {
  const { code, stdout, stderr } = await cli.hes(...argv);
  said.set(`output of ${name}`, Buffer.from(stdout + stderr));
  return code;
}

async function importAndMistakes(): Promise<void> {
  const hex = (key: Buffer) => key.toString("hex");
  const meters = cli.file(
    "meters.csv",
    `meter_number,meter_type,system_title,guek,gak,master_key\n${METER},D1,${hex(TITLE)},${hex(KEYS.guek)},${hex(KEYS.gak)},${hex(KEYS.master)}\n`,
  );
  expect(await run("import", "meters", "import", meters)).toBe(0);
  const keys = cli.file(
    "keys.csv",
    `meter_number,client_sap,mechanism,secret,guek,dedicated\n${METER},48,hls2,text:${KEYS.password},${hex(KEYS.associationGuek)},${hex(KEYS.dedicated)}\n`,
  );
  expect(await run("keys", "keys", "import", keys)).toBe(0);
  // Mistakes in the very cells that hold keys.
  const wrong = `meter_number,meter_type,guek,gak\nX,D1,${hex(KEYS.guek)}ff,zz${hex(KEYS.gak)}\n"${hex(KEYS.master)}\n`;
  expect(await run("wrong import", "meters", "import", cli.file("wrong.csv", wrong))).not.toBe(0);
  const long = `meter_number,client_sap,mechanism,secret\n${METER},48,hls2,text:${KEYS.password.toString().repeat(9)}\n`;
  expect(await run("wrong keys", "keys", "import", cli.file("long.csv", long))).not.toBe(0);
  await run("list", "keys", "list");
  await run("list --json", "keys", "list", "--json");
  await run("show", "meters", "show", METER);
  await run("config", "config", "print");
}

/** What associations, commands and rotations have to do with keys, whether they succeed or not. */
async function pollAndRotate(): Promise<void> {
  const listening = fleet
    .importCsv()
    .replace(/,127\.0\.0\.1,\d+,/, `,127.0.0.1,${fleet.addressOf(0)!.port},`);
  expect(await run("import of the fleet", "meters", "import", cli.file("fleet.csv", listening))).toBe(0);
  expect(await run("keys of the fleet", "keys", "import", cli.file("fleet-keys.csv", fleet.keysCsv()))).toBe(
    0,
  );
  const number = fleet.plans[0]!.meterNumber;
  const setup = ["--security-setup", "0.0.43.0.3.255"];
  expect(await run("read", "read", number, "1.0.1.8.0.255")).toBe(0);
  await run("clock", "clock", number);
  expect(await run("rotate", "keys", "rotate", number, ...setup)).toBe(0);
  expect(await run("rotate the master key", "keys", "rotate", number, "--kind", "master", ...setup)).toBe(0);
  expect(await run("rotate, not a meter's security setup", "keys", "rotate", number)).not.toBe(0);
  expect(await run("restart", "keys", "restart-counters", METER, "--reason", "a test")).toBe(0);
  await run("read of a meter that isn't there", "read", METER, "1.0.1.8.0.255");
  await run("shared", "keys", "list", "--shared");
  await run("doctor", "doctor", number);
  await run("doctor --json", "doctor", "--json");
  await run("commands", "commands", "list");
  await run("quarantine", "quarantine", "list");
}

async function sendGoodAndForged(): Promise<void> {
  const apdu = push(5);
  const forged = Buffer.from(apdu);
  forged[forged.length - 1]! ^= 1;
  const otherKeys = push(9, { ...KEYS, guek: secretOf("another guek") });
  const replayed = push(4);
  await sendOnce(daemon.port, Buffer.concat([apdu, apdu, forged, otherKeys, replayed].map(wrapped)));
  await eventually(async () => {
    const [row] = await test.database.query(
      "SELECT (SELECT count(*) FROM raw_frames) AS frames, (SELECT count(DISTINCT reason) FROM security_events) AS reasons",
    );
    return row!["frames"] >= 1 && row!["reasons"] >= 2 ? true : null;
  }, "the push is stored, and the others are refused");
}

it("no key is in log, error, output, environment, spool or table, however it is spelt", async () => {
  await importAndMistakes();
  formerKek = fileKek(join(dataDir, "kek")).current().key.export();
  chmodSync(join(dataDir, "kek"), 0o444);
  daemon = await startDaemonProcess({
    HES_DATABASE__URL_FILE: cli.file("database-url", test.url),
    HES_DATA_DIR: dataDir,
    HES_LOG__LEVEL: "trace",
  });
  await sendGoodAndForged();
  await pollAndRotate();
  expect(await run("rekey", "keys", "rekey", "--new-key")).toBe(0);
  // And with the new one.
  expect(await run("read under the new key", "read", fleet.plans[0]!.meterNumber, "1.0.1.8.0.255")).toBe(0);
  said.set("environment", readFileSync(`/proc/${daemon.child.pid}/environ`));
  said.set("arguments", readFileSync(`/proc/${daemon.child.pid}/cmdline`));
  for (const path of ["/livez", "/readyz", "/healthz", "/metrics", "/version"]) {
    said.set(path, Buffer.from(await (await fetch(daemon.http + path)).text()));
  }
  keptFiles();
  await dump();
  await daemon.end("SIGTERM");
  said.set("log", Buffer.from(daemon.log.map((line) => JSON.stringify(line)).join("\n")));
  keptFiles();
  expect(await leaks()).toEqual([]);
  // The search finds what is there.
  said.set("a leak", Buffer.from(`{"k":"x${KEYS.guek.toString("base64")}"}`));
  const found = await leaks();
  expect(found).toContain("guek as base64 from 0 in a leak");
  expect(found.filter((leak) => !leak.endsWith("as base64 from 0 in a leak"))).toEqual([]);
});

it("tells at the start of a key-encryption key that everybody may read", async () => {
  const rows = await test.database.query(
    "SELECT level, component, message FROM event_logs WHERE component = 'security'",
  );
  expect(rows).toEqual([
    {
      level: "warn",
      component: "security",
      message: expect.stringContaining(`chmod 400 ${join(dataDir, "kek")}`),
    },
  ]);
});
