import { describe, expect, it } from "vitest";
import type { Capture } from "../../simulator/capture.ts";
import { interfaceBody } from "../../simulator/customer-interface/interface-body.ts";
import {
  INTERFACE_NAMES,
  type InterfaceName,
  loadInterfaces,
} from "../../simulator/customer-interface/interface-model.ts";
import { planInterface } from "../../simulator/customer-interface/interface-plan.ts";
import { InterfaceSender } from "../../simulator/customer-interface/interface-sender.ts";
import { notification, protectionKeys, seal } from "../../simulator/envelope.ts";
import { emptySample } from "../../simulator/grid.ts";
import { loadCatalogue } from "../../src/catalogue/catalogue.ts";
import { writeMbusFrames } from "../../src/dlms/mbus/outgoing.ts";

/*
 * Expected octets: EUROPE-FACTS 5.3, frames decoded by a library that isn't ours, and the layout of section 7 as the frames of
 * dp-netznoe and tirol-mbus have it, laid out by hand.
 */
const models = loadInterfaces(loadCatalogue());
/** 2026-07-24 10:15:30 in Vienna. */
const NOW = Date.UTC(2026, 6, 24, 8, 15, 30);

function captureOf(name: InterfaceName): Capture {
  const plan = planInterface(7, 0, models[name], true);
  const sample = { ...emptySample(3), activeW: 2_000, powerFactor: 0.819 };
  for (const phase of [0, 1, 2]) {
    sample.voltageV[phase] = 230;
    sample.currentA[phase] = 5;
  }
  const registers = { energy: [100_000], quadrants: [1, 2, 4, 8] };
  return { atMs: NOW, sample, registers, identity: plan.identity } as unknown as Capture;
}

function bodyOf(name: InterfaceName, list: number): string {
  const model = models[name];
  const style = planInterface(7, 0, model, true).style.time;
  return interfaceBody(model.lists[list]!.cells, model.body, captureOf(name), style).toString("hex");
}

function frameOf(name: InterfaceName, list: number): string {
  const model = models[name];
  const { style, habits, framing, systemTitle } = planInterface(7, 0, model, true);
  const body = Buffer.from(bodyOf(name, list), "hex");
  // The sheet's times have an unspecified deviation (8000).
  const time = { ...style.time, deviation: "absent" } as const;
  const plaintext = notification(body, 1, model.notifies === "nothing" ? null : NOW, time, habits);
  const keys = protectionKeys({ guek: Buffer.alloc(16), gak: null });
  return seal({ systemTitle, keys, control: 0, framing, habits }, plaintext, 1).toString("hex");
}

const joined = (text: string) => text.replaceAll(/\s/g, "").toLowerCase();
const text = (value: string) => Buffer.from(value, "latin1").toString("hex");

describe("frames of Norwegian customer interfaces", () => {
  it("Aidon, list 1: an array of one value with its scaler, without a time", () => {
    expect(frameOf("AIDON", 0)).toBe(
      joined("7EA02A410883130413E6E7000F40000000000101020309060100010700FF06000007D002020F00161B724F7E"),
    );
  });

  it("Kaifa, list 1: a structure of one value behind a tagged time, in an I frame", () => {
    // As on the sheet but for summer time: status 80, which changes the check sequence too.
    const frame = frameOf("KAIFA", 0);
    const sheet = joined(
      "7EA027010201105A87E6E7000F40000000090C07EA0718050A0F1EFF800000020106000007D097C87E",
    );
    expect(frame.length).toBe(sheet.length);
    // Weekday and hundredths are the sheet's own; the rest up to them, and the value, are the same.
    expect(frame.slice(0, 44)).toBe(sheet.slice(0, 44));
    expect(frame.slice(64, 76)).toBe(sheet.slice(64, 76));
  });

  it("Kamstrup, list 2: the list's name, then code and value in turn, codes of channel 1", () => {
    expect(bodyOf("KAMSTRUP", 0)).toBe(
      joined(`0219 0a0e ${text("Kamstrup_V0001")}
        0906 0101000005ff 0a10 ${text("7057000010000001")}
        0906 0101600101ff 0a12 ${text("6841121BN243101040")}
        0906 0101010700ff 06 000007d0   0906 0101020700ff 06 00000000
        0906 0101030700ff 06 00000000   0906 0101040700ff 06 00000000
        0906 01011f0700ff 06 000001f4   0906 0101330700ff 06 000001f4   0906 0101470700ff 06 000001f4
        0906 0101200700ff 12 00e6       0906 0101340700ff 12 00e6       0906 0101480700ff 12 00e6`),
    );
  });
});

describe("bodies of Austrian customer interfaces", () => {
  const scaled = (tag: string, value: string, scaler: string, unit: string) =>
    `${tag}${value}02020f${scaler}16${unit}`;
  const clock = "090c07ea0718ff0a0f1e00ff8880";

  it("Netz NÖ: a clock, code, value and scaler in turn, the meter's number behind", () => {
    expect(bodyOf("NETZ-NOE", 0)).toBe(
      joined(`0223 ${clock}
        0906 0100010800ff ${scaled("06", "000186a0", "00", "1e")}
        0906 0100020800ff ${scaled("06", "00000000", "00", "1e").replace("00000000", "00000000")}
        0906 0100010700ff ${scaled("06", "000007d0", "00", "1b")}
        0906 0100020700ff ${scaled("06", "00000000", "00", "1b")}
        0906 0100200700ff ${scaled("12", "08fc", "ff", "23")}
        0906 0100340700ff ${scaled("12", "08fc", "ff", "23")}
        0906 0100480700ff ${scaled("12", "08fc", "ff", "23")}
        0906 01001f0700ff ${scaled("12", "01f4", "fe", "21")}
        0906 0100330700ff ${scaled("12", "01f4", "fe", "21")}
        0906 0100470700ff ${scaled("12", "01f4", "fe", "21")}
        0906 01000d0700ff ${scaled("12", "0333", "fd", "ff")}
        090c ${text("100010000001")}`),
    );
  });

  it("TINETZ: each value in a structure of its own", () => {
    expect(bodyOf("TINETZ", 0).slice(0, 164)).toBe(
      joined(`020f 0202 0906 0000010000ff ${clock}
        0202 0906 0000600100ff 090c ${text("100010000001")}
        0202 0906 00002a0000ff 0910 ${text("SIM0000010000001")}
        0203 0906 0100`).slice(0, 164),
    );
  });

  it("go out encrypted only, in two M-Bus frames of which the first is full", () => {
    const {
      habits,
      systemTitle,
      keys: own,
      protection,
      style,
    } = planInterface(7, 0, models["NETZ-NOE"], true);
    const body = Buffer.from(bodyOf("NETZ-NOE", 0), "hex");
    const keys = protectionKeys(own);
    const plaintext = notification(body, 1, NOW, style.time, habits);
    const envelope = { systemTitle, keys, control: protection, framing: "mbus", habits } as const;
    const octets = seal(envelope, plaintext, 5);
    // 68 FA FA 68 53 FF 00 01 67, then the APDU: DB 08 "SIM" …, of which the length takes two octets, SC 20 and the counter.
    expect(octets.toString("hex", 0, 26)).toBe("68fafa6853ff000167db0853494d000098968181f82000000005");
    // 250 octets, checksum and stop; then the next, CI 11, with what is left: 248 + 11 + … − 245.
    expect(octets[4 + 0xfa + 1]).toBe(0x16);
    const second = octets.subarray(4 + 0xfa + 2);
    expect(second.toString("hex", 0, 9)).toMatch(/^68(..)\1(?:68)53ff110167$/);
    expect(second[1]! + 6).toBe(second.length);
    expect(second.at(-1)).toBe(0x16);
  });
});

describe("an M-Bus long frame", () => {
  it("alone: CI 10, as the sheet of section 3 has it", () => {
    // DLMS-FACTS 19: the encrypted-only DB in one M-Bus frame.
    const frame =
      "6854546853FF100167DB084142430000000001442000000010295184EC92371DEBAF0A7AF95A0B38165E94EAA3D45D0EA05AA6651FAC843D80F4867F578FAD0BD94303F386947F898FF7AD8AFE1D476F9866063C5DB5658EEF16";
    const apdu = Buffer.from(frame.slice(18, -4), "hex");
    const frames = writeMbusFrames(apdu, { stsap: 0x01, dtsap: 0x67 });
    expect(Buffer.concat(frames).toString("hex").toUpperCase()).toBe(frame);
  });
});

describe("when customer interfaces send", () => {
  const HOUR = Date.UTC(2026, 6, 24, 8);
  const lifeOf = (name: InterfaceName, slowestMs: number, untilMs: number) => {
    const sender = new InterfaceSender(
      7,
      planInterface(7, 0, models[name], true),
      models[name],
      slowestMs,
      HOUR,
    );
    const said = [];
    while (sender.dueMs <= untilMs) said.push({ atMs: sender.dueMs, ...sender.next()[0]! });
    return said;
  };

  it.each(INTERFACE_NAMES)("%s: the longest of the lists that are due", (name) => {
    const said = lifeOf(name, 0, HOUR + 20_000);
    const at = (ms: number) => said.filter(({ atMs }) => atMs === HOUR + ms);
    expect(new Set(said.map(({ atMs }) => atMs)).size).toBe(said.length);
    const lists = models[name].lists.length;
    if (lists === 3) expect(at(10_000)[0]!.body.length).toBeGreaterThan(at(20_000)[0]!.body.length);
    expect(said.length).toBe({ AIDON: 9, KAIFA: 11, KAMSTRUP: 4, "NETZ-NOE": 5, TINETZ: 5 }[name]);
  });

  it("the hourly list tells the full hour, ten seconds later; others have the time of the notification or none", () => {
    const hourly = lifeOf("AIDON", 0, HOUR + 10_000).at(-1)!;
    expect([hourly.kind, hourly.times, hourly.notifiedAtMs]).toEqual(["instant", [HOUR], null]);
    expect(lifeOf("AIDON", 0, HOUR)[0]).toMatchObject({ kind: "untimed", times: [] });
    expect(lifeOf("KAIFA", 0, HOUR)[0]).toMatchObject({ kind: "instant", times: [HOUR], notifiedAtMs: HOUR });
  });

  it("no more often than they are told to", () => {
    expect(lifeOf("NETZ-NOE", 60_000, HOUR + 600_000).length).toBe(11);
  });

  it("registers never run backwards and grow by the hour", () => {
    const sums = lifeOf("KAMSTRUP", 60_000, HOUR + 86_400_000)
      .map(({ valueSum }) => valueSum)
      .filter((value) => value > 0);
    expect(sums.length).toBeGreaterThan(20);
    expect(sums.every((value, index) => index === 0 || value >= sums[index - 1]!)).toBe(true);
    expect(sums.at(-1)!).toBeGreaterThan(sums[0]! + 1_000);
  });
});
