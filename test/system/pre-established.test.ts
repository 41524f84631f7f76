import { join } from "node:path";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import type { AssociationPolicy } from "../../src/dlms/association/server-options.ts";
import { hex, suite0 } from "../support/associations.ts";
import { type DaemonProcess, eventually, startDaemonProcess } from "../support/daemon.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { dataOf } from "../support/fake-association.ts";
import { type CommandLine, commandLine } from "../support/hes.ts";
import { type MeterServer, meterServer } from "../support/meter-server.ts";
import { PaperMeter } from "../support/paper-meter.ts";

/** A process that starts on a busy machine takes its time. */
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

/*
 * Meters whose association of client 102 stands as soon as the link does: in clear, ciphered under general protection, which tells our system
 * title with each APDU, and ciphered by service, where the meter knows it beforehand. A poll of the daemon and a command that borrows from
 * it read an energy, whose octets are by hand, without AARQ.
 */
const CLIENT = 102;
const ENERGY = 50_000;
const KEYS = "000102030405060708090A0B0C0D0E0F,D0D1D2D3D4D5D6D7D8D9DADBDCDDDEDF";
const OUR_TITLE = "4d4d4d0000bc614e";
const TITLE = "4142430000000001";
/** First octet of the first APDU: get-request, general-glo-ciphering, glo-get-request. */
const METERS = {
  PLAIN: { conformance: "001E1D", context: "auto", required: "none", keys: ",", first: 0xc0 },
  GENERAL: {
    ...{
      conformance: "401E1D",
      context: "auto",
      required: "authenticated+encrypted",
      keys: KEYS,
      first: 0xdb,
    },
  },
  SERVICE: {
    ...{ conformance: "001E1D", context: "ciphered", required: "none", keys: KEYS, first: 0xc8 },
  },
} as const;
type Name = keyof typeof METERS;
const NAMES = Object.keys(METERS) as Name[];

let test: TestDatabase;
let cli: CommandLine;
let daemon: DaemonProcess;
const servers = new Map<Name, MeterServer>();

function policyOf(name: Name): AssociationPolicy {
  const ciphered = name !== "PLAIN";
  return {
    ...{ mechanism: 0, secret: null, ciphered, conformance: Number.parseInt(METERS[name].conformance, 16) },
    security: ciphered ? suite0(1) : null,
    preEstablished: {
      clientTitle: name === "SERVICE" ? hex(OUR_TITLE) : null,
      clientMaxReceivePduSize: 512,
    },
  };
}

async function importAll(): Promise<void> {
  const meters = ["meter_number,meter_type,system_title,required_protection,framing,mode,host,port"];
  const keys = [
    "meter_number,client_sap,mechanism,guek,gak,context,pre_established,conformance,max_receive_pdu_size",
  ];
  for (const name of NAMES) {
    const { required, context, conformance, keys: own } = METERS[name];
    const { port } = servers.get(name)!;
    meters.push(
      `${name},D1,${TITLE.slice(0, -1)}${NAMES.indexOf(name)},${required},wrapper,dial,127.0.0.1,${port}`,
    );
    keys.push(`${name},${CLIENT},none,${own},${context},yes,${conformance},128`);
  }
  await cli.json("meters", "import", cli.file("meters.csv", `${meters.join("\n")}\n`));
  await cli.json("keys", "import", cli.file("keys.csv", `${keys.join("\n")}\n`));
}

beforeAll(async () => {
  test = await createTestDatabase();
  cli = commandLine(test.url);
  for (const [index, name] of NAMES.entries()) {
    const objects = new PaperMeter()
      .attribute(3, "1.0.1.8.0.255", 2, dataOf("06 0000c350"), 1)
      .attribute(3, "1.0.1.8.0.255", 3, dataOf("0202 0f00 161e"), 1);
    const policy = policyOf(name);
    servers.set(
      name,
      await meterServer({
        ...{ framing: "wrapper", objects: () => objects, systemTitle: hex(`${TITLE.slice(0, -1)}${index}`) },
        policy: (clientSap) => (clientSap === CLIENT ? policy : null),
      }),
    );
  }
  await importAll();
  daemon = await startDaemonProcess({
    HES_DATABASE__URL: test.url,
    HES_DATA_DIR: join(cli.folder, "data"),
    HES_POLLING__SYSTEM_TITLE: OUR_TITLE,
  });
});
afterAll(async () => {
  await daemon?.end("SIGTERM");
  for (const server of servers.values()) await server.close();
  cli?.remove();
  await test?.drop();
});

const firstApdu = (name: Name) => servers.get(name)!.heard.subarray(8, 9);

it("are polled by the daemon with the first octets that it sends", async () => {
  const added = await cli.hes(
    ...["schedules", "add", "energy", "--cron", "0 0 1 1 *", "--object", "1.0.1.8.0.255", "--client", "102"],
  );
  expect(added).toMatchObject({ code: 0, stderr: "" });
  await cli.hes("schedules", "run", "energy", "now");
  const polls = await eventually(async () => {
    const rows = await test.database.query(
      `SELECT m.meter_number, h.verdict, h.error FROM push_history h JOIN public.meters m ON m.id = h.meter_id
        WHERE h.kind = 'poll' AND h.verdict <> 'running' ORDER BY 1`,
    );
    return rows.length === NAMES.length ? rows : null;
  }, "every meter was polled");
  expect(polls).toEqual(
    [...NAMES].sort().map((name) => ({ meter_number: name, verdict: "applied", error: null })),
  );
  const stored = await test.database.query("SELECT active_import_wh AS wh FROM energy_measurements");
  expect(stored).toEqual(NAMES.map(() => ({ wh: ENERGY })));
  for (const name of NAMES) expect([name, firstApdu(name)[0]]).toEqual([name, METERS[name].first]);
});

it.each(NAMES)("and read by a command: %s", async (name) => {
  const { objects } = await cli.json("read", name, "1.0.1.8.0.255", "--client", String(CLIENT));
  expect(objects).toMatchObject([{ obis: "1.0.1.8.0.255", value: ENERGY, unit: "Wh" }]);
  expect(firstApdu(name)[0]).toBe(METERS[name].first);
});

it("are shown with what is known of them", async () => {
  expect((await cli.json("meters", "show", "GENERAL")).associations).toEqual([
    {
      ...{ clientSap: CLIENT, mechanism: "none", context: "auto", hasSecret: false, preEstablished: true },
      ...{ conformance: "401E1D", maxReceivePduSize: 128 },
    },
  ]);
  expect((await cli.hes("meters", "show", "GENERAL")).stdout).toMatch(
    /102 +none +auto +- +yes +401E1D +128$/m,
  );
});

it("need the meter's system title where they are ciphered", async () => {
  await test.database.query("UPDATE public.meters SET system_title = NULL WHERE meter_number = 'SERVICE'");
  const { code, stderr } = await cli.hes("read", "SERVICE", "1.0.1.8.0.255", "--client", String(CLIENT));
  expect(code).not.toBe(0);
  expect(stderr).toContain("no AARE tells its system title");
});
