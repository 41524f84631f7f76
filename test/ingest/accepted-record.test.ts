import { describe, expect, it } from "vitest";
import type { Acceptance } from "../../src/ingest/accepted.ts";
import {
  loggedFrame,
  readAcceptedRecord,
  readLoggedFrame,
  writeAcceptedRecord,
} from "../../src/ingest/accepted-record.ts";

const METER = "3f2504e0-4f89-41d3-9a0c-0305e82c3301";
const arrival = {
  ...{ framing: "wrapper", apdu: Buffer.from("db08", "hex"), clientSap: 64, serverSap: 1, peer: "10.0.0.7" },
  ...{ receivedAtMs: 1_790_000_000_123, lastMeter: null, counterRule: "live" as const },
};
const DIGEST = Buffer.from("00112233445566778899aabbccddeeff", "hex").toString("latin1");
const name = {
  ...{ keyId: 70_000, systemTitle: "4142430000000001", clientSap: 64 },
  text: "70000/4142430000000001/64",
};
const protection = { name, control: 0x30, counter: 0xffff_fffe, verified: true, digest: DIGEST };
const counter = { meterId: METER, name, counter: 0xffff_fffe, digest: DIGEST, isFinal: true };
const acceptance: Acceptance = { arrival, meterId: METER, protection, counter, setAside: null };

describe("what a record says of its counter", () => {
  it.each<[string, Acceptance]>([
    ["a counter that moved", acceptance],
    ["one that stood still", { ...acceptance, counter: null }],
    [
      "set aside, by a gateway",
      {
        ...acceptance,
        arrival: { ...arrival, behindGateway: "M1" },
        setAside: { reason: "unreadable", text: "why" },
      },
    ],
    [
      "long names",
      { ...acceptance, arrival: { ...arrival, peer: "fe80::1%eth0".repeat(9), framing: "hdlc" } },
    ],
    ["in clear", { ...acceptance, protection: null, counter: null }],
  ])("is read as from the whole: %s", (_, one) => {
    const octets = writeAcceptedRecord(one);
    expect(readLoggedFrame(octets)).toEqual(loggedFrame(readAcceptedRecord(octets)));
  });

  it("cuts a text that its length can't say, and keeps what follows", () => {
    const peer = "fe80::1%".padEnd(300, "e");
    const long = { ...acceptance, arrival: { ...arrival, peer } };
    const { arrival: read, protection: guard } = readAcceptedRecord(writeAcceptedRecord(long));
    expect(read.peer).toBe(peer.slice(0, 255));
    expect(guard).toEqual(protection);
    expect(read.apdu).toEqual(arrival.apdu);
  });

  it("stands where the layout says, and is a copy", () => {
    const octets = writeAcceptedRecord(acceptance);
    const frame = readLoggedFrame(octets)!;
    octets.fill(0);
    expect(frame).toEqual({
      ...{ name, counter: 0xffff_fffe, digest: DIGEST, moved: true },
    });
  });

  it("of a record that ends early, or of another version, is an error that is declared", () => {
    const octets = writeAcceptedRecord(acceptance);
    const digestEnd = octets.length - arrival.apdu.length;
    for (let length = 0; length < digestEnd; length++) {
      expect(() => readLoggedFrame(octets.subarray(0, length))).toThrow(
        expect.objectContaining({ name: "DecodeError" }),
      );
    }
    octets[0] = 9;
    expect(() => readLoggedFrame(octets)).toThrow("a record of version 9");
  });
});
