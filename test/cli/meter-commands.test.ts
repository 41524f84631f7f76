import { createSecretKey } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ReceivedCounter } from "../../src/dlms/association/protection.ts";
import type { AssociationPolicy } from "../../src/dlms/association/server-options.ts";
import { modelFromJson } from "../../src/dlms/cosem/meter-model-reader.ts";
import { parseObis } from "../../src/dlms/cosem/obis-code.ts";
import { counting, secret } from "../support/associations.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { dataOf } from "../support/fake-association.ts";
import { type CommandLine, commandLine } from "../support/hes.ts";
import { type MeterServer, meterServer } from "../support/meter-server.ts";
import { PaperMeter } from "../support/paper-meter.ts";

/*
 * A D1 meter on loopback with other keys for each association, as IS 15959 has them: public client 16, meter reader 32 by password,
 * utility setting 48 by HLS 2. Its objects are octets by hand after DLMS-FACTS 13 and 19.3.
 */
const TITLE = "47494e00000003e8";
const KEYS = {
  32: { guek: "32".repeat(16), gak: "d0".repeat(16) },
  48: { guek: "48".repeat(16), gak: "d1".repeat(16) },
};

const element = (classId: string, version: string, obis: string) =>
  `0204 12${classId} 11${version} 0906 ${obis} 0202 0100 0100`;
const OBJECT_LIST = `0106 ${element("000f", "02", "0000280000ff")} ${element("0008", "00", "0000010000ff")}
  ${element("0028", "00", "0000190900ff")} ${element("0016", "00", "00000f0004ff")} ${element("0009", "00", "00000a006cff")}
  ${element("0046", "00", "000060030aff")}`.replaceAll("\n", "");

/** 1 January 2020, 00:00:00 in India. */
const LONG_AGO = "090c 07e40101ff00000000feb600";

function paperMeter(): PaperMeter {
  return new PaperMeter()
    .attribute(15, "0.0.40.0.0.255", 2, dataOf(OBJECT_LIST), 1)
    .attribute(8, "0.0.1.0.0.255", 2, dataOf(LONG_AGO))
    .attribute(1, "0.0.43.1.2.255", 2, dataOf("06 00000000"), 1)
    .attribute(1, "0.0.43.1.3.255", 2, dataOf("06 00000000"), 1)
    .attribute(40, "0.0.25.9.0.255", 2, dataOf("0100"))
    .attribute(40, "0.0.25.9.0.255", 3, dataOf("0203 1600 0900 1600"))
    .attribute(40, "0.0.25.9.0.255", 6, dataOf("11 00"), 1)
    .attribute(22, "0.0.15.0.4.255", 2, dataOf("0202 0906 00000a006cff 120001"))
    .attribute(22, "0.0.15.0.4.255", 3, dataOf("16 01"))
    .attribute(22, "0.0.15.0.4.255", 4, dataOf("0100"))
    .attribute(
      9,
      "0.0.10.0.108.255",
      2,
      dataOf("0101 0202 120001 0101 0205 1602 120028 0906 0000190900ff 0f01 0f00"),
      1,
    )
    .attribute(70, "0.0.96.3.10.255", 2, dataOf("03 01"), 1);
}

const keyOf = (hex: string) => createSecretKey(Buffer.from(hex, "hex"));

function policies(): (clientSap: number) => AssociationPolicy | null {
  const counters = { 32: new ReceivedCounter(-1), 48: new ReceivedCounter(-1) };
  const sent = counting(1);
  const ciphered = (clientSap: 32 | 48, mechanism: 1 | 2, password: string): AssociationPolicy => ({
    ...{ mechanism, secret: secret(password), ciphered: true, conformance: 0x603e1d },
    security: {
      suite: 0,
      keys: { encryption: keyOf(KEYS[clientSap].guek), authentication: keyOf(KEYS[clientSap].gak) },
      sent,
      received: counters[clientSap],
      required: 0x30,
    },
  });
  return (clientSap) => {
    if (clientSap === 16)
      return { mechanism: 0, secret: null, ciphered: false, conformance: 0x1e1d, security: null };
    if (clientSap === 32) return ciphered(32, 1, "12345678");
    return clientSap === 48 ? ciphered(48, 2, "1234567890123456") : null;
  };
}

let test: TestDatabase;
let cli: CommandLine;
let meter: PaperMeter;
let server: MeterServer;
beforeAll(async () => {
  test = await createTestDatabase();
  cli = commandLine(test.url);
  meter = paperMeter();
  const allowed = policies();
  server = await meterServer({
    ...{ framing: "wrapper", objects: () => meter, policy: allowed, systemTitle: Buffer.from(TITLE, "hex") },
  });
  const meters = `meter_number,meter_type,system_title,mode,framing,host,port,server_sap,guek
GIN1000,D1,${TITLE},dial,wrapper,127.0.0.1,${server.port},1,
`;
  const keys = `meter_number,client_sap,mechanism,secret,guek,gak
GIN1000,16,none,,,
GIN1000,32,lls,text:12345678,${KEYS[32].guek},${KEYS[32].gak}
GIN1000,48,hls2,text:1234567890123456,${KEYS[48].guek},${KEYS[48].gak}
`;
  expect((await cli.hes("meters", "import", cli.file("meters.csv", meters))).stderr).toBe("");
  expect((await cli.hes("keys", "import", cli.file("keys.csv", keys))).stderr).toBe("");
});
afterAll(async () => {
  await server.close();
  cli.remove();
  await test.drop();
});

describe("hes clock", () => {
  it("tells how far off a clock is, and that it is too far to be set unasked", async () => {
    const { code, stdout } = await cli.hes("clock", "GIN1000", "--client", "32");
    expect([code, stdout]).toEqual([
      65,
      expect.stringContaining("The meter's clock says 2020-01-01T00:00:00+05:30"),
    ]);
    expect(stdout).toContain("more than clock.step_max_seconds: look at both clocks");
    const unforced = await cli.hes("clock", "GIN1000", "--set", "--json");
    expect(unforced.code).toBe(65);
    expect(JSON.parse(unforced.stdout)).toMatchObject({ verdict: "too-far", set: null });
    expect(meter.written).toEqual([]);
  });

  it("sets it as utility setting when forced, and keeps what it was", async () => {
    const { verdict, set } = await cli.json("clock", "GIN1000", "--set", "--force");
    expect([verdict, set.state]).toEqual(["too-far", "verified"]);
    expect(Math.abs(set.after.offset_seconds)).toBeLessThan(60);
    expect(meter.written).toHaveLength(1);
    const [command] = await test.database.query(
      "SELECT c.state, c.client_sap, s.before, s.after FROM meter_commands c JOIN meter_command_steps s ON s.command_id = c.id",
    );
    expect(command).toMatchObject({
      state: "verified",
      client_sap: 48,
      before: { os: "07e40101ff00000000feb600" },
    });
    expect((await cli.hes("commands", "GIN1000")).stdout).toMatch(/clock +48 +verified/);
  });

  it("doesn't know a meter that isn't there, nor a client that is none", async () => {
    expect(await cli.hes("clock", "NOBODY")).toMatchObject({
      code: 65,
      stderr: expect.stringContaining('no meter "NOBODY"'),
    });
    expect(await cli.hes("clock", "GIN1000", "--client", "0")).toMatchObject({ code: 64 });
    const unknown = await cli.hes("clock", "GIN1000", "--client", "80");
    expect(unknown.code).toBe(69);
    expect(unknown.stderr).not.toMatch(/\n\s+at /);
  });
});

describe("hes push-setups", () => {
  it("has nothing to check as long as nothing is configured", async () => {
    const { code, stderr } = await cli.hes("push-setups", "check", "GIN1000");
    expect([code, stderr]).toEqual([65, expect.stringContaining("Nothing is configured for GIN1000")]);
    expect((await cli.hes("push-setups", "list")).stdout).toContain("No push setup has a destination yet");
  });

  it("are set by scope, and changed where they are there", async () => {
    const set = (...more: string[]) => cli.json("push-setups", "set", "0.6.25.9.0.255", ...more);
    const first = await set("--type", "D1", "--destination", "10.0.0.5:4059", "--retries", "3");
    expect(first.is_new).toBe(true);
    expect(await set("--type", "D1", "--delay", "60")).toEqual({ id: first.id, is_new: false });
    expect((await set("--meter", "GIN1000", "--destination", "10.0.0.6:4059")).is_new).toBe(true);
    expect(await cli.json("push-setups", "show", String(first.id))).toMatchObject({
      ...{ scope: "type D1", destination: "10.0.0.5:4059", numberOfRetries: 3, repetitionDelaySeconds: 60 },
    });
    expect(await cli.json("push-setups", "list")).toHaveLength(2);
    // Out of the way of what follows.
    expect((await set("--type", "D1", "--disable")).is_new).toBe(false);
    expect((await set("--meter", "GIN1000", "--disable")).is_new).toBe(false);
  });

  it.each([
    [64, ["0.6.25.9.0.255", "--retries", "300"], "number_of_retries: 300 is out of the range of unsigned"],
    [64, ["0.6.25.9.0.255", "--transport", "pigeon"], "pigeon is none of tcp"],
    [64, ["0.6.25.9.0.255", "--meter", "GIN1000", "--type", "D1"], "exclude each other"],
    [65, ["0.6.25.9.0.255", "--type", "X9"], 'no meter type "X9"'],
    [65, ["0.6.25.9"], "not an OBIS code"],
  ])("are not set to what no meter could hold: %i %j", async (code, argv, message) => {
    expect(await cli.hes("push-setups", "set", ...argv)).toMatchObject({
      code,
      stderr: expect.stringContaining(message),
    });
  });

  it("tells the drift object by object, writes it, and finds none afterwards", async () => {
    const set = ["push-setups", "set", "0.0.25.9.0.255", "--destination", "10.0.0.5:4059", "--retries", "3"];
    const { id } = await cli.json(...set, "--name", "instant of all");
    await test.database.query(
      `WITH list AS (INSERT INTO push_objects (name, push_setup_id) VALUES ('short', $1) RETURNING id)
       INSERT INTO push_object_entries (push_object_id, position, class_id, logical_name, attribute)
       SELECT id, 1, 40, '0.0.25.9.0.255', 1 FROM list UNION ALL SELECT id, 2, 8, '0.0.1.0.0.255', 2 FROM list`,
      [id],
    );
    const schedule = ["push-setups", "schedule", "0.0.15.0.4.255", "--triggers", "0.0.25.9.0.255", "--at"];
    expect((await cli.hes(...schedule, "12:00")).code).toBe(0);
    expect((await cli.hes(...schedule, "00:00", "00:15")).stdout).toBe(
      "0.0.15.0.4.255 triggers 0.0.25.9.0.255 at 00:00:00, 00:15:00.\n",
    );
    expect(await cli.hes(...schedule, "noon")).toMatchObject({
      code: 64,
      stderr: expect.stringContaining('"noon" is no time'),
    });
    const before = await cli.hes("push-setups", "check", "GIN1000");
    expect(before.code).toBe(65);
    expect(before.stdout).toBe(
      [
        "0.0.25.9.0.255  push setup (version 0), instant of all: differs",
        "  2 push_object_list: differs",
        "      missing  1: 40/0.0.25.9.0.255/1",
        "      missing  2: 8/0.0.1.0.0.255/2",
        "  6 number_of_retries: differs",
        "      expected 3",
        "      found    0",
        "  3 send_destination_and_method: differs",
        "      expected tcp 10.0.0.5:4059 a-xdr",
        "      found    tcp  a-xdr",
        "",
        "0.0.15.0.4.255  single action schedule (version 0), 0.0.15.0.4.255 of meters: differs",
        "  2 executed_script: same",
        "  3 type: differs",
        "      expected different-times-wildcards",
        "      found    one-entry-wildcards",
        "  4 execution_time: differs",
        "      missing  1: 00:00:00",
        "      missing  2: 00:15:00",
        "",
      ].join("\n"),
    );

    const written = await cli.hes("push-setups", "write", "GIN1000");
    // The retries can't be written with this meter's rights.
    expect(written.code).toBe(65);
    expect(written.stdout).toMatch(/0\.0\.25\.9\.0\.255 +6 number_of_retries +refused +read-write-denied/);
    expect(written.stdout).toMatch(/0\.0\.15\.0\.4\.255 +4 execution_time +verified/);
    // The octets of the worked exchange in DLMS-FACTS 19.3.
    expect(meter.attributes.get(`22/${parseObis("0.0.15.0.4.255")}/4`)!.value).toEqual(
      dataOf("0102 0202 0904 00000000 0905 ffffffffff 0202 0904 000f0000 0905 ffffffffff"),
    );
    expect(meter.attributes.get(`40/${parseObis("0.0.25.9.0.255")}/3`)!.value).toEqual(
      dataOf("0203 1600 090d 31302e302e302e353a34303539 1600"),
    );

    await test.database.query(
      "UPDATE push_setups SET number_of_retries = NULL WHERE name = 'instant of all'",
    );
    const after = await cli.json("push-setups", "check", "GIN1000");
    expect(after.map((object: { state: string }) => object.state)).toEqual(["same", "same"]);
    const again = await cli.hes("push-setups", "write", "GIN1000");
    expect([again.code, again.stdout]).toEqual([0, "The meter is as configured; nothing was written.\n"]);
  });
});

describe("hes read --all", () => {
  it("writes a model of what the associations show", async () => {
    const path = join(cli.folder, "model.json");
    const { code, stderr } = await cli.hes("read", "GIN1000", "--all", "--client", "32,48", "--output", path);
    expect([code, stderr]).toEqual([0, expect.stringContaining("6 objects")]);
    const model = modelFromJson(JSON.parse(readFileSync(path, "utf8")));
    expect(model.meter).toMatchObject({ meterNumber: "GIN1000", systemTitle: TITLE });
    expect(model.associations.map(({ clientSap, version }) => [clientSap, version])).toEqual([
      ...[
        [32, 2],
        [48, 2],
      ],
    ]);
    const relay = model.objects.find(({ classId }) => classId === 70)!;
    expect(relay.attributes.get(2)).toEqual({ kind: "data", data: dataOf("0301") });
    expect(relay.attributes.get(3)).toEqual({ kind: "missing", reason: "object-undefined" });
  });
});
