import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { FAULT_NAMES } from "../../simulator/faults.ts";
import { QUIRK_NAMES } from "../../simulator/habits.ts";
import { CLOCK_FAULTS } from "../../src/cli/simulate/fleet-options.ts";
import { commandLine } from "../support/hes.ts";

const page = readFileSync(new URL("../../docs/operating/simulator.md", import.meta.url), "utf8");

/** Names in the first column, or in the last one, of the table of a section. */
function named(section: string, column: 1 | 2): string[] {
  const text = page.split(`\n## ${section}\n`)[1]!.split("\n## ")[0]!;
  const rows = text.split("\n").filter((line) => line.startsWith("| ") && line.includes("`"));
  return rows.flatMap((row) => [...row.split("|")[column]!.matchAll(/`([\w-]+)`/g)].map(([, name]) => name!));
}

describe("names of faults and quirks", () => {
  const faults = [...FAULT_NAMES, ...Object.keys(CLOCK_FAULTS)];

  it("are those of docs/operating/simulator.md", () => {
    expect(named("Faults", 1).sort()).toEqual([...faults].sort());
    expect(named("Quirks", 2).sort()).toEqual([...QUIRK_NAMES].sort());
  });

  it("are those of hes simulate --help", async () => {
    const cli = commandLine("");
    const { stdout } = await cli.hes("simulate", "--help");
    cli.remove();
    const [, ofFaults, ofQuirks] = /\nFaults:\n([\s\S]*?)\nQuirks:\n([\s\S]*)$/.exec(stdout)!;
    const names = (text: string) => [...text.matchAll(/^ {2}(\S+)/gm)].map(([, name]) => name);
    expect(names(ofFaults!)).toEqual(faults);
    expect(names(ofQuirks!)).toEqual(QUIRK_NAMES);
  });
});
