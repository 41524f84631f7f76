import { createSecretKey } from "node:crypto";
import { readFileSync } from "node:fs";
import { describe, expect, it, vi } from "vitest";
import type { ListRecord } from "../../src/mapping/configuration.ts";
import type { MeterRecord } from "../../src/storage/meter-record.ts";
import { cell, heldBack, Surroundings } from "./surroundings.ts";

/* What Gurux Python and Java sent; objects, keys and system titles as in the note beside the file. */

const file = new URL("../vectors/other-implementations/pushes.tsv", import.meta.url);
const pushes = readFileSync(file, "utf8")
  .trim()
  .split("\n")
  .filter((line) => !line.startsWith("#"))
  .map((line) => line.split("\t"))
  .map(([producer, framing, protection, suite, layout, blocks, hex]) => ({
    name: [producer, framing, protection, suite, layout, blocks].join(" "),
    producer: producer!,
    protection: protection as keyof typeof REQUIRED,
    suite: Number(suite) as 0 | 1 | 2,
    layout: layout!,
    hex: hex!,
  }));

const REQUIRED = { none: 0, a: 0x10, e: 0x20, ae: 0x30 };
const REGISTERS = [
  ...[
    "32.7",
    "52.7",
    "72.7",
    "31.7",
    "51.7",
    "71.7",
    "33.7",
    "53.7",
    "73.7",
    "13.7",
    "14.7",
    "9.7",
    "1.7",
    "3.7",
  ],
  ...["1.8", "5.8", "8.8", "9.8"],
].map((groups) => `1.0.${groups}.0.255`);

const bare: ListRecord = {
  ...{ id: 1, setupId: null, name: "bare", pushSetup: null, kind: "single" },
  ...{ meterId: null, meterType: "gurux", category: null },
  entries: [
    { classId: 1, code: "0.0.42.0.0.255", attribute: 2, dataIndex: 0 },
    { classId: 8, code: "0.0.1.0.0.255", attribute: 2, dataIndex: 0 },
    ...REGISTERS.map((code) => ({ classId: 3, code, attribute: 2, dataIndex: 0 })),
  ],
};

/** Energies in Wh × 10; voltages and all else in hundredths. */
const scalers = REGISTERS.map((code) => ({
  ...{ meterType: "gurux", code, attribute: 2, unit: null },
  scaler: code.includes(".8.0.") ? 1 : -2,
}));

function meterOf({ producer, protection, suite }: (typeof pushes)[number]): MeterRecord {
  const key = (hex: string) => createSecretKey(Buffer.from(hex, "hex"));
  const last = producer === "gurux-py" ? "7" : "8";
  return {
    ...{ id: producer, meterNumber: `GRX000000012345${last}`, meterType: "gurux", category: "IDIS" },
    ...{ manufacturer: null, model: null, logicalDeviceName: null, framing: "auto", host: null },
    systemTitle: null,
    requiredProtection: REQUIRED[protection],
    securitySuite: suite,
    counterMayStandStill: false,
    deviationSign: "standard",
    timeZone: null,
    keys: [
      {
        keyId: 1,
        kind: "guek",
        clientSap: null,
        state: "ACTIVE",
        key: key("000102030405060708090a0b0c0d0e0f"),
      },
      {
        keyId: 2,
        kind: "gak",
        clientSap: null,
        state: "ACTIVE",
        key: key("d0d1d2d3d4d5d6d7d8d9dadbdcdddedf"),
      },
    ],
  };
}

/** The octets after DB 08, wherever they stand. */
const titleOf = (hex: string) => /db08([0-9a-f]{16})/.exec(hex)?.[1] ?? null;

describe.each(pushes)("$name", (push) => {
  it("becomes rows", async () => {
    const meter = { ...meterOf(push), systemTitle: titleOf(push.hex) };
    const around = new Surroundings([], { meters: [meter], lists: [bare], scalers });
    await around.send(push.hex);
    expect(around.refused).toEqual([]);
    expect(around.verdicts).toEqual(["applied"]);
    const [voltage] = around.rows("voltage_measurements");
    expect(["l1", "l2", "l3"].map((phase) => cell(voltage!, `voltage_${phase}_v`))).toEqual([
      230.51, 231.12, 229.87,
    ]);
    const [energy] = around.rows("energy_measurements");
    expect(cell(energy!, "active_import_wh")).toBe(1_234_567_890);
    expect(cell(energy!, "source")).toBe("single");
    // The positional list is taken where nothing names the values, and only there.
    expect(cell(around.committed[0]!.history, "push_object_id")).toBe(push.layout === "bare" ? 1 : null);
  });
});

describe("an HDLC push in I frames", () => {
  const push = pushes.find(({ name }) => name === "gurux-py hdlc ae 0 described -")!;

  it("is acknowledged by RR: its last frame only once the push is durable", async () => {
    const meter = { ...meterOf(push), systemTitle: titleOf(push.hex) };
    const around = new Surroundings([], { meters: [meter], lists: [bare], scalers });
    const { promise, release } = heldBack();
    around.hold = promise;
    const connection = around.connect();
    connection.receive(push.hex);
    await vi.waitFor(() => expect(around.commitsBegun).toBe(1));
    // Address octets 03 03, then the control octet: N(R) in bits 5–7, 11 for RR with the final bit. I frames 0 to 3 are no last ones.
    const controls = () => connection.written.map((octets) => octets[5]);
    expect(controls()).toEqual([0x91]);
    release();
    await around.ingest.settled();
    expect(controls()).toEqual([0x91, 0xb1]);
    expect(around.acknowledged).toBe(1);
  });
});
