import { describe, expect, it } from "vitest";
import type { Capture } from "../../simulator/capture.ts";
import { notification, protectionKeys, seal } from "../../simulator/envelope.ts";
import { emptySample } from "../../simulator/grid.ts";
import { setStatusBit } from "../../simulator/incidents.ts";
import { INDIA } from "../../simulator/local-time.ts";
import type { ModelList } from "../../simulator/model.ts";
import { type BodyStyle, flatBody, nestedBody, rowOf } from "../../simulator/push-body.ts";
import { cellWriter, type RowColumn } from "../../simulator/row-writer.ts";

/*
 * Expected octets: DLMS-FACTS section 19.5 (event status push, block load push), made by other implementations than this one.
 * 2026-07-24 10:15:30 in India, deviation −330 (FEB6).
 */
const CLOCK = Date.UTC(2026, 6, 24, 4, 45, 30);
const TIME = { zone: INDIA, deviation: "standard" } as const;
const STYLE: BodyStyle = { layout: "flat", time: TIME, deviceIdType: "octet-string" };

function capture(fields: object): Capture {
  const identity = { deviceId: "ABCSM0000001" };
  return {
    atMs: CLOCK,
    sample: emptySample(1),
    statusWord: Buffer.alloc(16),
    identity,
    ...fields,
  } as Capture;
}

function listOf(pushSetup: string, columns: readonly RowColumn[]): ModelList {
  const complete = columns.map((one) => ({ ...one, classId: 1, unit: null }));
  return {
    name: "test",
    kind: "event",
    pushSetup,
    profile: null,
    columns: complete,
    cells: columns.map(cellWriter),
    check: () => 0,
  };
}

const column = (code: string, dataType: string, scaler = 0): RowColumn => ({
  code,
  attribute: 2,
  dataType,
  scaler,
});

const ALERT = listOf("0.4.25.9.0.255", [
  column("0.0.1.0.0.255", "date-time"),
  column("0.0.94.91.18.255", "bit-string"),
]);

const PLAIN =
  "0f00000001000204090c414243534d3030303030303109060004190900ff090c07ea0718ff0a0f1e00feb60004818010000000000000000000040000000000";

describe("an alert with bits 3 and 85 of the status word", () => {
  const statusWord = Buffer.alloc(16);
  for (const bit of [3, 85, 9]) setStatusBit(statusWord, bit, true);
  setStatusBit(statusWord, 9, false);
  const plain = notification(flatBody(ALERT, capture({ statusWord }), STYLE), 1, null, TIME);
  const envelope = {
    systemTitle: Buffer.from("4142430000000001", "hex"),
    keys: protectionKeys({
      guek: Buffer.from("000102030405060708090a0b0c0d0e0f", "hex"),
      gak: Buffer.from("d0d1d2d3d4d5d6d7d8d9dadbdcdddedf", "hex"),
    }),
    framing: "wrapper",
  } as const;

  it("is laid out as the fact sheet has it", () => {
    expect(plain.toString("hex")).toBe(PLAIN);
  });

  it("in clear: behind a wrapper header from 1 to 64", () => {
    expect(seal({ ...envelope, control: 0 }, plain, 0).toString("hex")).toBe(`000100010040003f${PLAIN}`);
  });

  it("encrypted only", () => {
    expect(seal({ ...envelope, control: 0x20 }, plain, 0x10).toString("hex")).toBe(
      "000100010040004fdb084142430000000001442000000010295184ec92371debaf0a7af95a0b38165e94eaa3d45d0ea05aa6651fac843d80f4867f578fad0bd94303f386947f898ff7ad8afe1d476f9866063c5db5658e",
    );
  });

  it("authenticated and encrypted", () => {
    expect(seal({ ...envelope, control: 0x30 }, plain, 0x10).toString("hex")).toBe(
      "000100010040005bdb084142430000000001503000000010295184ec92371debaf0a7af95a0b38165e94eaa3d45d0ea05aa6651fac843d80f4867f578fad0bd94303f386947f898ff7ad8afe1d476f9866063c5db5658e09d3c90ea0dcef8e06e34ac4",
    );
  });

  it("as an HDLC UI frame from server 1 to client 64", () => {
    expect(seal({ ...envelope, framing: "hdlc", control: 0 }, plain, 0).toString("hex")).toBe(
      `7ea04b81031353ade6e700${PLAIN}67ca7e`,
    );
  });
});

describe("a block load push of two rows, nested", () => {
  const u16 = "long-unsigned";
  const list = listOf("0.5.25.9.0.255", [
    column("0.0.1.0.0.255", "date-time"),
    column("1.0.12.27.0.255", u16, -1),
    column("1.0.1.29.0.255", u16),
    column("1.0.9.29.0.255", u16),
    column("1.0.2.29.0.255", u16),
    column("1.0.10.29.0.255", u16),
    column("1.0.11.27.0.255", u16, -2),
    column("0.0.96.10.1.255", "unsigned"),
  ]);
  const row = (atMs: number, voltage: number, wh: number, vah: number, current: number) =>
    rowOf(
      list,
      capture({
        atMs,
        registers: {
          block: { energy: [wh, 0, vah, 0], reactive: [], voltageV: [voltage], currentA: [current] },
        },
      }),
      TIME,
    );

  it("is laid out as the fact sheet has it", () => {
    const rows = [
      row(Date.UTC(2026, 6, 24, 4, 45), 233.8, 100, 102, 4.5),
      row(Date.UTC(2026, 6, 24, 5, 0), 230.7, 101, 103, 4.52),
    ];
    const body = nestedBody(list, "ABCSM0000001", rows, Date.UTC(2026, 6, 24, 5, 0), STYLE);
    // Structure of 4: device id, push setup, clock 10:30, array of 2 rows of 8:
    // clock · 2338 × 0.1 V · 100 Wh · 102 VAh · export 0, 0 · 450 × 0.01 A · health 0.
    expect(body.toString("hex")).toBe(
      "0204090c414243534d3030303030303109060005190900ff090c07ea0718ff0a1e0000feb6000102" +
        "0208090c07ea0718ff0a0f0000feb6001209221200641200661200001200001201c21100" +
        "0208090c07ea0718ff0a1e0000feb6001209031200651200671200001200001201c41100",
    );
  });
});
