import { describe, expect, it } from "vitest";
import type { Capture } from "../../simulator/capture.ts";
import { planMeter } from "../../simulator/identity.ts";
import { SimulatedMeter } from "../../simulator/meter.ts";
import { loadModels, MODEL_NAMES, type ModelName, type PushKind } from "../../simulator/model.ts";
import { Relay } from "../../simulator/relay.ts";
import { loadCatalogue } from "../../src/catalogue/catalogue.ts";

/*
 * Behind an open relay nothing flows. Two days of a meter in May; the relay is opened in the seventh minute of a block on the first
 * evening, closed in the seventh minute of one on the second noon. The life of the same meter whose relay stays closed stands beside it.
 */
const models = loadModels(loadCatalogue());
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const START = Date.UTC(2026, 4, 12);
const OPENED = START + 18 * HOUR + 7 * MINUTE;
const CLOSED = START + 36 * HOUR + 7 * MINUTE;
const END = START + 48 * HOUR;

interface Row {
  readonly kind: PushKind;
  readonly atMs: number;
  readonly eventCode: number;
  readonly log: string;
  readonly registers: readonly number[];
  readonly block: readonly number[];
  readonly currents: readonly number[];
  readonly volts: readonly number[];
}

function lifeOf(name: ModelName, index: number, switches: boolean, incidentsPerDay: number) {
  const model = models[name];
  const plan = planMeter(7, index, model, { protection: null, framing: null, layout: null });
  const rows: Row[] = [];
  const rowOf = (kind: PushKind, { codes }: { codes: string }, capture: Capture): Row => {
    const { energy, quadrants, block } = capture.registers;
    return {
      ...{ kind, atMs: capture.atMs, eventCode: capture.eventCode, log: codes },
      ...{ registers: [...energy, ...quadrants], block: [...block.energy, ...block.reactive] },
      ...{ currents: [...block.currentA, block.neutralA], volts: [...block.voltageV] },
    };
  };
  const schedule = { instantSeconds: 300, blockPushSeconds: null, incidentsPerDay, history: false };
  const meter = new SimulatedMeter(7, plan, model, schedule, START, (kind, list, capture) =>
    rows.push(rowOf(kind, { codes: list.pushSetup }, capture)),
  );
  const live = (untilMs: number) => {
    while (meter.dueMs <= untilMs) meter.next();
  };
  live(OPENED);
  if (switches) meter.switchLoad(false, OPENED);
  live(CLOSED - MINUTE);
  const { sample, registers } = meter.present(CLOSED - MINUTE);
  const open = { ...structuredClone(sample), connected: registers.relay.connected };
  if (switches) meter.switchLoad(true, CLOSED);
  live(END);
  const again: Row[] = [];
  meter.recall(END, (kind, list, capture) => again.push(rowOf(kind, { codes: list.pushSetup }, capture)));
  return { rows, again, open };
}

describe.each(MODEL_NAMES)("a simulated %s meter whose relay is opened", (name) => {
  const { blockSeconds, nominalV } = models[name];
  const blockMs = blockSeconds * 1_000;
  // Of this seed 9, 10, 12 and 15 have panels.
  const lives = [0, 1, 9, 10, 12, 15].map((index) => ({
    switched: lifeOf(name, index, true, 0),
    closed: lifeOf(name, index, false, 0),
  }));
  const blocks = ({ rows }: { rows: readonly Row[] }) => rows.filter(({ kind }) => kind === "block");
  const within = ({ atMs }: Row) => atMs - blockMs >= OPENED && atMs <= CLOSED;

  it("neither draws nor feeds in, and its registers stand still", () => {
    for (const { switched, closed } of lives) {
      const open = blocks(switched).filter(within);
      expect(open.length).toBeGreaterThan(16);
      for (const { block, currents, registers } of open) {
        expect([...block, ...currents].every((value) => value === 0)).toBe(true);
        expect(registers).toEqual(open[0]!.registers);
      }
      // It would have drawn or fed in in each of them.
      expect(
        blocks(closed)
          .filter(within)
          .every(({ block }) => block[2]! + block[3]! > 0),
      ).toBe(true);
      const { activeW, reactiveVar, apparentVa, neutralA, currentA, connected } = switched.open;
      expect(connected).toBe(false);
      const flows = [activeW, reactiveVar, apparentVa, neutralA, ...currentA];
      expect(flows.every((value) => value === 0)).toBe(true);
      expect(closed.open.apparentVa).toBeGreaterThan(0);
    }
    const fedIn = lives.filter(({ closed }) =>
      blocks(closed)
        .filter(within)
        .some(({ block }) => block[1]! > 0),
    );
    expect([fedIn.length > 0, fedIn.length < lives.length]).toEqual([true, true]);
  });

  it("has the grid's voltage, which no load pulls down", () => {
    for (const { switched } of lives) {
      const volts = [
        ...blocks(switched)
          .filter(within)
          .flatMap((row) => row.volts),
        ...switched.open.voltageV,
      ];
      for (const volt of volts)
        expect(Math.abs(volt - (241 * nominalV) / 230)).toBeLessThan((2 * nominalV) / 230);
    }
  });

  it("is as it would have been before and afterwards, and counts what flowed in the blocks within which it was switched", () => {
    for (const { switched, closed } of lives) {
      const beside = blocks(closed);
      const apparent = { cut: 0, whole: 0 };
      blocks(switched).forEach((row, at) => {
        const other = beside[at]!;
        expect(row.atMs).toBe(other.atMs);
        if (within(row)) return;
        const cut = [OPENED, CLOSED].some((instant) => row.atMs > instant && row.atMs - blockMs < instant);
        if (!cut) {
          expect(row.block).toEqual(other.block);
          return;
        }
        apparent.cut += row.block[2]! + row.block[3]!;
        apparent.whole += other.block[2]! + other.block[3]!;
        expect(row.block[2]! + row.block[3]!).toBeLessThan(other.block[2]! + other.block[3]!);
      });
      expect(apparent.cut).toBeGreaterThan(0);
      expect(apparent.cut).toBeLessThan(apparent.whole);
    }
  });

  it("tells polls the rows that it has told before", () => {
    for (const { rows, again } of lives.map(({ switched }) => switched)) expect(again).toEqual(rows);
  });

  it("is closed by whoever opened it, not by an incident, and has no incident that takes a current", () => {
    const { planned, loadSwitched } = models[name].incidents;
    const loaded = planned
      .filter((one) => one.loaded)
      .flatMap(({ code, restoration }) => [code, restoration]);
    const codesOf = (rows: readonly Row[]) =>
      rows.filter(({ kind }) => kind === "event").map((row) => row.eventCode);
    const during = ({ atMs }: Row) => atMs > OPENED + HOUR / 2 && atMs < CLOSED;
    const { rows, open } = lifeOf(name, 1, true, 200);
    expect(open.connected).toBe(false);
    expect(codesOf(rows.filter(during)).filter((code) => loaded.includes(code))).toEqual([]);
    // The others go on, and those too when it is closed again.
    expect(codesOf(rows.filter(during)).length).toBeGreaterThan(20);
    expect(
      codesOf(rows.filter(({ atMs }) => atMs > CLOSED)).filter((code) => loaded.includes(code)),
    ).not.toEqual([]);
    // What an incident has opened already is no row when somebody opens it.
    expect(codesOf(rows)).toContain(loadSwitched.restoration);
  });
});

describe("a relay", () => {
  it("is at each instant of the running block what it was switched to last", () => {
    const relay = new Relay();
    relay.switch(false, 10);
    relay.switch(true, 20);
    relay.switch(false, 30);
    expect([9, 10, 19, 20, 29, 30, 40].map((atMs) => relay.connectedAt(atMs))).toEqual([
      ...[true, false, false, true, true, false, false],
    ]);
    relay.forgetBefore(25);
    expect([relay.connectedAt(26), relay.connectedAt(31), relay.connected]).toEqual([true, false, false]);
    relay.forgetBefore(50);
    expect([relay.connectedAt(51), relay.connected]).toEqual([false, false]);
  });
});
