import { Command, CommanderError } from "commander";
import { EXIT } from "../exit.ts";
import { VERSION } from "../version.ts";
import { certificatesCommand } from "./certificates-command.ts";
import { clockCommand } from "./clock-command.ts";
import { commandsCommand } from "./commands-command.ts";
import { configCommand } from "./config-command.ts";
import { decodeCommand } from "./decode/command.ts";
import { demoCommand } from "./demo/demo-command.ts";
import { doctorCommand } from "./doctor/doctor-command.ts";
import { exitCodeOf, explain } from "./failure.ts";
import { gapsCommand } from "./gaps-command.ts";
import { keysCommand } from "./keys-command.ts";
import { metersCommand } from "./meters-command.ts";
import { migrateCommand } from "./migrate-command.ts";
import type { Output, Program } from "./program.ts";
import { pushListsCommand } from "./push-lists-command.ts";
import { pushSetupsCommand } from "./push-setups-command.ts";
import { quarantineCommand } from "./quarantine-command.ts";
import { readCommand } from "./read-command.ts";
import { meterTypesCommand, obisCommand } from "./reference-commands.ts";
import { replayCommand } from "./replay-command.ts";
import { schedulesCommand } from "./schedules-command.ts";
import { serveCommand } from "./serve-command.ts";
import { simulateCommand } from "./simulate/simulate-command.ts";

const PROCESS_OUTPUT: Output = {
  write: (text) => void process.stdout.write(text),
  error: (text) => void process.stderr.write(text),
};

/** argv → one command. Resolves with the exit code; a user's mistake is printed as a sentence, a fault of ours with its stack. */
export async function run(argv: readonly string[], out: Output = PROCESS_OUTPUT): Promise<number> {
  let exitCode: number = EXIT.ok;
  const root = rootCommand(out, (code) => {
    exitCode = code;
  });
  try {
    await root.parseAsync(argv as string[], { from: "user" });
    return exitCode;
  } catch (error) {
    // Commander has printed its own sentence, and asking for help isn't a mistake.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    out.error(`${explain(error)}\n`);
    return exitCodeOf(error);
  }
}

/** The command line as it is declared; docs/reference/commands.md is made from it. */
export function rootCommand(
  out: Output = PROCESS_OUTPUT,
  finish: (code: number) => void = () => {},
): Command {
  const root = new Command("hes")
    .description("DLMS/COSEM head-end system: meters push, their values stand in PostgreSQL or TimescaleDB")
    .version(VERSION, "-V, --version", "print the version")
    .option("-c, --config <file>", "TOML file with the configuration (see: hes config print)")
    .showHelpAfterError("(`hes help` lists the commands, `hes help COMMAND` their options)");
  const program: Program = {
    configFile: () => root.opts<{ config?: string }>().config,
    print: (text) => out.write(`${text}\n`),
    complain: (text) => out.error(`${text}\n`),
    finish,
  };
  const commands = [
    ...[
      serveCommand,
      demoCommand,
      migrateCommand,
      configCommand,
      metersCommand,
      keysCommand,
      certificatesCommand,
    ],
    ...[
      readCommand,
      meterTypesCommand,
      obisCommand,
      schedulesCommand,
      gapsCommand,
      pushListsCommand,
      pushSetupsCommand,
      clockCommand,
      commandsCommand,
      quarantineCommand,
      replayCommand,
      decodeCommand,
      simulateCommand,
      doctorCommand,
    ],
  ];
  for (const command of commands) root.addCommand(command(program));
  inherit(root, out);
  return root;
}

/** Commander must throw instead of ending the process, and print where we print: in every command below, too. */
function inherit(command: Command, out: Output): void {
  command.exitOverride();
  command.configureOutput({
    writeOut: (text) => out.write(text),
    writeErr: (text) => out.error(text),
  });
  for (const child of command.commands) inherit(child, out);
}
