import { readFileSync } from "node:fs";
import { expect, it } from "vitest";

/* The sums of docs/operating/scaling.md, done again from the figures that it says were measured. */

const page = readFileSync(new URL("../../docs/operating/scaling.md", import.meta.url), "utf8");
const METERS = [1e5, 1e6, 2e6, 1e7];

/** Cells of the table row that begins so. */
function row(begin: string): string[] {
  const line = page.split("\n").find((one) => one.startsWith(`| ${begin}`));
  if (line === undefined) throw new Error(`the page has no row "${begin}"`);
  return line
    .split("|")
    .slice(2, -1)
    .map((cell) => cell.trim());
}
/** The first number of a cell; of "177–208" the second, which is the dearer one. */
function number(cell: string): number {
  const [, first, dearer] = /([\d,.]+)(?:–([\d,.]+))?/.exec(cell) ?? [];
  return Number((dearer ?? first)?.replaceAll(",", ""));
}
const numbers = (cells: readonly string[]) => cells.map(number);

/** The page rounds to two significant digits. */
function expectAbout(found: number, exact: number): void {
  expect(Math.abs(found - exact) / exact, `${found} for ${exact}`).toBeLessThan(0.05);
}

const [nodeStanding, nodePerPush] = numbers(row("processor of Node a push"));
const [, databasePerPush] = numbers(row("processor of PostgreSQL a push"));
const tables = [
  "`instant_profile`",
  "`block_load_profile`",
  "`energy_measurements`",
  "`power_readings`",
  "`voltage_measurements`",
  "`current_measurements`",
].map((name) => {
  const [perDay, rows, indexes, week, day] = numbers(row(name));
  return { perDay: perDay!, rows: rows!, indexes: indexes!, week: week!, day: day! };
});
const aDay = (part: "rows" | "indexes" | "week" | "day") =>
  tables.reduce((sum, table) => sum + table.perDay * table[part], 0);
const PUSHES_A_DAY = 97;
const peak = (meters: number) => (4 * PUSHES_A_DAY * meters) / 86_400;

it("a meter takes a day and a year what its rows take", () => {
  const kilobytes = ["values, in rows", "values, columnstore, weeks", "values, columnstore, single days"];
  for (const [index, part] of (["rows", "week", "day"] as const).entries()) {
    const [day, year] = numbers(row(kilobytes[index]!));
    expectAbout(day!, aDay(part) / 1e3);
    expectAbout(year!, (aDay(part) * 365) / 1e6);
  }
});

it("pushes, daemons, cores, indexes and log of a fleet are those of its meters", () => {
  for (const [index, meters] of METERS.entries()) {
    const at = (begin: string) => row(begin)[index]!;
    expectAbout(number(at("pushes a second, mean / peak").split("/")[1]!), peak(meters));
    const daemons = (us: number) => Math.ceil((peak(meters) * us * 1e-6) / 0.6);
    expect(number(at("daemons: peak"))).toBe(daemons(nodePerPush!));
    expect(number(at("… with standing connections"))).toBe(daemons(nodeStanding!));
    expect(number(at("database cores"))).toBe(Math.ceil((peak(meters) * databasePerPush! * 1e-6 * 2) / 0.6));
    const [day, week] = at("indexes of the newest partitions").split("/");
    expectAbout(number(week!), (meters * aDay("indexes") * 7) / 1e9);
    expectAbout(number(day!), (meters * aDay("indexes")) / 1e9);
    expectAbout(number(at("write-ahead log at the peak")), (peak(meters) * 2 * 1_600) / 1e6);
  }
});

it("disks of the first year are rows, frames and history of each meter", () => {
  const [framesDay] = numbers(row("frames, kept 90 days"));
  const [historyDay] = numbers(row("history, kept 400 days"));
  const others = (framesDay! * 90 + historyDay! * 365) / 1e3;
  const [rowsDay, weekDay] = [aDay("rows"), aDay("week")].map((octets) => octets / 1e6);
  const plain = rowsDay! * 365 + others;
  const compressed = rowsDay! * 15 + weekDay! * 350 + others;
  for (const [index, meters] of METERS.entries()) {
    expectAbout(number(row("disk in the first year, plain")[index]!), (plain * meters) / 1e6);
    expectAbout(number(row("… TimescaleDB")[index]!), (compressed * meters) / 1e6);
  }
});
