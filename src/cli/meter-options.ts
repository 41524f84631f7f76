import { type Command, Option } from "commander";
import { METER_COLUMNS } from "../storage/meter-import.ts";
import { readText } from "./input.ts";

const KEY_COLUMNS = new Set(["guek", "gak", "master_key"]);
/** Columns that `add` and `adopt` take as options. */
const OPTION_COLUMNS = METER_COLUMNS.filter((name) => name !== "meter_number");

/** Options of commander, by their names in TypeScript's case. */
export type MeterOptions = Readonly<Record<string, string | true | undefined>>;

export function withMeterOptions(command: Command): Command {
  for (const column of OPTION_COLUMNS) {
    const about = KEY_COLUMNS.has(column)
      ? "hex, text:… or @FILE; other users of this machine see arguments, so prefer @FILE"
      : ABOUT[column];
    command.addOption(new Option(`--${column.replaceAll("_", "-")} <value>`, about));
  }
  return command;
}

const ABOUT: Readonly<Record<string, string>> = {
  meter_type: "see `hes meter-types list`",
  system_title: "16 hex digits",
  required_protection: "none, authenticated, encrypted or authenticated+encrypted",
  security_suite: "0, 1 or 2",
  framing: "auto, hdlc or wrapper",
  mode: "listen or dial",
  deviation_sign: "standard or reversed",
  time_zone: "such as Asia/Kolkata",
  group: "any name",
};

/** What the options say, as a file of one meter: so that one meter is checked as many are. */
export function meterLine(meterNumber: string, options: MeterOptions): string {
  const given = OPTION_COLUMNS.flatMap((column): [string, string][] => {
    const value = options[column.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())];
    if (typeof value !== "string") return [];
    return [
      [column, KEY_COLUMNS.has(column) && value.startsWith("@") ? readText(value.slice(1)).trim() : value],
    ];
  });
  const columns: [string, string][] = [["meter_number", meterNumber], ...given];
  const quoted = columns.map(([, value]) => `"${value.replaceAll('"', '""')}"`);
  return `${columns.map(([name]) => name).join(",")}\n${quoted.join(",")}\n`;
}
