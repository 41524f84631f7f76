import { createCipheriv, createSecretKey } from "node:crypto";
import { describe, expect, it } from "vitest";
import type { MeterKey } from "../../src/storage/meter-record.ts";
import * as wire from "../support/wire.ts";
import { keysOf, meterOf, Surroundings, vectorOf } from "./surroundings.ts";

const vector = vectorOf("d1-alert-flat-ae-wrapper-int-dev");
const meter = meterOf(vector);
const keys = keysOf(vector);
const DEDICATED = Buffer.alloc(16, 0xd0);
const MASTER = Buffer.alloc(16, 0x3a);

const key = (kind: MeterKey["kind"], octets: Buffer): MeterKey => ({
  ...{ keyId: kind === "master" ? 8 : 9, kind, clientSap: null, state: "ACTIVE" },
  key: createSecretKey(octets),
});
const withKeys = (...more: MeterKey[]) => ({ ...meter, keys: [...meter.keys, ...more] });

const alert = (invokeId = 1) =>
  wire.notification(
    invokeId,
    wire.structure(
      ...[wire.text(meter.meterNumber), wire.obis("0.4.25.9.0.255")],
      ...[wire.clock(2026, 10, 1, 9, 30), wire.bits("00".repeat(16))],
    ),
  );
const withTag = (tag: number, apdu: Buffer) => Buffer.concat([Buffer.from([tag]), apdu.subarray(1)]);
const withLength = (octets: Buffer) => Buffer.concat([lengthOf(octets.length), octets]);
const lengthOf = (count: number) => Buffer.from(count < 0x80 ? [count] : [0x81, count]);

/** Green Book 9.2.7.2.4: additional data are control, authentication key, and the header's octet-strings with their lengths. */
function generalCiphering(keyInfo: Buffer, encryption: Buffer, plain: Buffer, control = 0x30): Buffer {
  const header = Buffer.concat([
    withLength(Buffer.from("0000000000000007", "hex")),
    withLength(keys.systemTitle),
    withLength(Buffer.alloc(0)),
    withLength(Buffer.alloc(0)),
    withLength(Buffer.from("0102", "hex")),
  ]);
  const counter = Buffer.from("00000005", "hex");
  const gcm = createCipheriv("aes-128-gcm", encryption, Buffer.concat([keys.systemTitle, counter]), {
    authTagLength: 12,
  });
  gcm.setAAD(Buffer.concat([Buffer.from([control]), keys.gak, header]));
  const body = Buffer.concat([gcm.update(plain), gcm.final()]);
  const content = Buffer.concat([Buffer.from([control]), counter, body, gcm.getAuthTag()]);
  return Buffer.concat([Buffer.from([0xdd]), header, keyInfo, withLength(content)]);
}

/** RFC 3394 with OpenSSL's own wrap. */
function wrappedKey(encryption: Buffer): Buffer {
  const cipher = createCipheriv("id-aes128-wrap", MASTER, Buffer.alloc(8, 0xa6));
  return Buffer.concat([cipher.update(encryption), cipher.final()]);
}

async function outcome(octets: Buffer, meters = [meter], host?: string) {
  const around = new Surroundings([], { meters });
  const connection = around.connect(host);
  connection.receive(octets);
  await around.ingest.drain();
  return {
    ...{ verdicts: around.verdicts, refused: around.refused, kept: around.kept.length },
    ...{ committed: around.committed, written: connection.written },
  };
}

const APPLIED = { verdicts: ["applied"], refused: [] };

describe("envelopes around a push", () => {
  const glo = wire.ciphered(alert(), 0x30, 1, keys);
  const ded = withTag(0xdc, wire.ciphered(alert(), 0x30, 1, { ...keys, guek: DEDICATED }));

  it("general-ded-ciphering is opened with the dedicated key, and kept where there is none", async () => {
    expect(await outcome(wire.wrapped(ded), [withKeys(key("dedicated", DEDICATED))])).toMatchObject(APPLIED);
    expect(await outcome(wire.wrapped(ded))).toMatchObject({ refused: ["key_missing"], kept: 1 });
  });

  it("general-ciphering names the unicast key, or brings one along that the master key has wrapped", async () => {
    const none = generalCiphering(Buffer.from([0]), keys.guek, alert());
    const identified = generalCiphering(Buffer.from("010000", "hex"), keys.guek, alert());
    const own = Buffer.alloc(16, 0x77);
    const info = Buffer.concat([Buffer.from("010100", "hex"), withLength(wrappedKey(own))]);
    const wrapped = generalCiphering(info, own, alert());
    expect(await outcome(wire.wrapped(none))).toMatchObject(APPLIED);
    expect(await outcome(wire.wrapped(identified))).toMatchObject(APPLIED);
    expect(await outcome(wire.wrapped(wrapped), [withKeys(key("master", MASTER))])).toMatchObject(APPLIED);
    expect(await outcome(wire.wrapped(wrapped))).toMatchObject({ refused: ["key_missing"] });
    const other = [withKeys(key("master", DEDICATED))];
    expect(await outcome(wire.wrapped(wrapped), other)).toMatchObject({ refused: ["bad_tag"] });
  });

  it("general-ciphering is refused where its header was changed, and with an agreed key", async () => {
    const changed = generalCiphering(Buffer.from([0]), keys.guek, alert());
    changed[9] = 8;
    expect(await outcome(wire.wrapped(changed))).toMatchObject({
      refused: ["bad_tag"],
      verdicts: ["refused"],
    });
    const info = Buffer.from("0102010100", "hex");
    const agreed = generalCiphering(info, keys.guek, alert());
    expect(await outcome(wire.wrapped(agreed))).toMatchObject({ refused: ["unsupported"] });
  });

  it("a signature around a ciphered push proves nothing and hinders nothing", async () => {
    const empty = Buffer.alloc(5);
    const signed = Buffer.concat([
      Buffer.from([0xdf]),
      empty,
      withLength(glo),
      withLength(Buffer.alloc(64, 0x5a)),
    ]);
    expect(await outcome(wire.wrapped(signed))).toMatchObject(APPLIED);
  });

  it("compression is refused", async () => {
    const compressed = Buffer.from(glo);
    compressed[compressed.indexOf(0x30, 10)] = 0xb0;
    expect(await outcome(wire.wrapped(compressed))).toMatchObject({ refused: ["unsupported"] });
  });

  it("what a gateway relays in an octet-string is the other meter's, by its title", async () => {
    const body = Buffer.concat([Buffer.from([0x09]), withLength(glo)]).toString("hex");
    for (const layout of [body, wire.structure(wire.text("a gateway"), body)]) {
      const { committed, ...rest } = await outcome(wire.wrapped(wire.notification(3, layout)));
      expect(rest).toMatchObject(APPLIED);
      expect(committed[0]!.meterId).toBe(meter.id);
      expect(committed[0]!.counter?.counter).toBe(1);
    }
    const clear = Buffer.concat([Buffer.from([0x09]), withLength(alert())]).toString("hex");
    const { committed } = await outcome(wire.wrapped(wire.notification(3, clear)));
    expect(committed).toEqual([]);
  });
});

describe("APDUs that name nobody", () => {
  const plainMeter = { ...meter, requiredProtection: 0 };
  /** Network 0, address "42": E7 00 02 34 32. */
  const behind = (apdu: Buffer) => Buffer.concat([Buffer.from("e700023432", "hex"), apdu]);
  /** An event-notification without a time, of 0.0.96.5.1.255: nothing in it says whose it is. */
  const event = Buffer.from("c2000001000060050 1ff020600000001".replaceAll(" ", ""), "hex");

  it("are those of the meter that the gateway's header names", async () => {
    const meters = [
      { ...plainMeter, id: "first", meterNumber: "41" },
      { ...plainMeter, id: "second", meterNumber: "42" },
    ];
    const { committed } = await outcome(wire.wrapped(behind(event)), meters);
    expect(committed.map(({ meterId }) => meterId)).toEqual(["second"]);
    expect(await outcome(wire.wrapped(behind(event)), [meters[0]!])).toMatchObject({
      refused: ["unknown_meter"],
      kept: 1,
    });
  });

  it("are confirmed through the gateway that passed them on", async () => {
    const confirmed = wire.ciphered(alert(0x4000_0001), 0x30, 1, keys);
    const { written } = await outcome(wire.wrapped(behind(confirmed)));
    // Wrapper 64 → 1, gateway request to the same address, 10, the same invoke id, no time.
    expect(written.map((octets) => octets.toString("hex"))).toEqual([
      "000100400001000be6000234321040000001 00".replace(" ", ""),
    ]);
  });
});

describe("without a frame", () => {
  const glo = wire.ciphered(alert(), 0x30, 1, keys);
  /** M-Bus long frame, one segment: 68 L L 68 53 FF 10 01 67 … sum 16. */
  const mbus = (apdu: Buffer) => {
    const fields = Buffer.concat([Buffer.from("53ff100167", "hex"), apdu]);
    const sum = fields.reduce((a, b) => (a + b) & 0xff, 0);
    const head = Buffer.from([0x68, fields.length, fields.length, 0x68]);
    return Buffer.concat([head, fields, Buffer.from([sum, 0x16])]);
  };

  it.each([
    ["nothing", glo],
    ["an LLC header", Buffer.concat([Buffer.from("e6e700", "hex"), glo])],
    ["the LLC header of power line communication", Buffer.concat([Buffer.from("900102", "hex"), glo])],
    ["eight zeros", Buffer.concat([Buffer.alloc(8), glo])],
    ["an M-Bus long frame", mbus(glo)],
  ])("an APDU in %s is taken in, over TCP and as a datagram", async (_what, octets) => {
    expect(await outcome(octets)).toMatchObject(APPLIED);
    const around = new Surroundings([], { meters: [meter] });
    around.ingest.datagram({ octets, remoteAddress: "192.0.2.9", reply: () => undefined });
    await around.ingest.drain();
    expect(around.verdicts).toEqual(["applied"]);
    expect(around.refused).toEqual([]);
  });

  it("blocks of a transfer are joined, over TCP and within a datagram", async () => {
    const block = (control: number, number: number, data: Buffer) =>
      Buffer.concat([Buffer.from([0xe0, control, 0, number, 0, 0]), withLength(data)]);
    const octets = Buffer.concat([
      wire.wrapped(block(0x40, 1, glo.subarray(0, 30))),
      wire.wrapped(block(0x80, 2, glo.subarray(30))),
    ]);
    expect(await outcome(octets)).toMatchObject(APPLIED);
    const around = new Surroundings([], { meters: [meter] });
    around.ingest.datagram({ octets, remoteAddress: "192.0.2.9", reply: () => undefined });
    await around.ingest.drain();
    expect(around.verdicts).toEqual(["applied"]);
  });

  it("a datagram that ends within a frame is reported", async () => {
    const around = new Surroundings([], { meters: [meter] });
    const octets = glo.subarray(0, 40);
    around.ingest.datagram({ octets, remoteAddress: "192.0.2.9", reply: () => undefined });
    await around.ingest.drain();
    expect(around.refused).toContain("malformed");
  });
});
