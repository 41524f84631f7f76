import type { Command } from "commander";

/** docs/reference/commands.md, from the declared commands. A test compares the file with this. */
export function commandsPage(root: Command): string {
  const lines = [
    "# Commands",
    "",
    "Generated from `src/cli`: run `npm test -- -u test/cli/commands.test.ts` after a change there.",
    "",
    "In a clone, `hes` is `node dist/src/main.js` after `npm run build`. Tables are for people; `--json` prints one JSON document for scripts.",
    "",
    "| exit code | |",
    "|---|---|",
    "| 0 | done |",
    "| 64 | the command line is wrong |",
    "| 65 | data that was given is wrong: a file, octets, an identifier |",
    "| 69 | something needed is not there: the database, a port |",
    "| 70 | a fault of the program |",
    "| 78 | the configuration is wrong |",
    "",
    "Options before the command:",
    "",
    ...options(root),
  ];
  for (const command of leaves(root)) lines.push(...section(command));
  return `${lines.join("\n").trimEnd()}\n`;
}

function leaves(command: Command): Command[] {
  return command.commands.length === 0 ? [command] : command.commands.flatMap(leaves);
}

function section(command: Command): string[] {
  const path: string[] = [];
  for (let at: Command | null = command; at; at = at.parent) path.unshift(at.name());
  const args = command.registeredArguments.map((argument) => {
    const shown = `${argument.name().toUpperCase()}${argument.variadic ? "…" : ""}`;
    return argument.required ? shown : `[${shown}]`;
  });
  const about = command.registeredArguments
    .filter(({ description }) => description !== "")
    .map((argument) => `| \`${argument.name().toUpperCase()}\` | ${cell(argument.description)} |`);
  const rows = [...about, ...optionRows(command)];
  const table = rows.length > 0 ? ["", "| | |", "|---|---|", ...rows] : [];
  return ["", `## ${[...path, ...args].join(" ")}`, "", `${command.description()}.`, ...table];
}

const options = (command: Command): string[] => ["| | |", "|---|---|", ...optionRows(command)];

function optionRows(command: Command): string[] {
  return command.options
    .filter(({ hidden }) => !hidden)
    .map(({ flags, description, defaultValue, defaultValueDescription }) => {
      const shown = defaultValueDescription ?? JSON.stringify(defaultValue);
      const fallback = defaultValue === undefined ? "" : ` (default ${shown})`;
      return `| \`${flags}\` | ${cell(description + fallback)} |`;
    });
}

const cell = (text: string): string => text.replaceAll("|", "\\|");
