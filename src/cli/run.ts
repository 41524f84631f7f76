import { Command, CommanderError } from "commander";
import { EXIT } from "../exit.ts";
import { printable } from "../printable.ts";
import { VERSION } from "../version.ts";
import { exitCodeOf, explain } from "./failure.ts";
import type { Output, Program } from "./program.ts";

type MakeCommand = (program: Program) => Command;

/** In the order of the help. Each is loaded when it is asked for: `hes serve` starts without the simulator, `hes meters` without a web server. */
const COMMANDS: Readonly<Record<string, () => Promise<MakeCommand>>> = {
  serve: async () => (await import("./serve-command.ts")).serveCommand,
  demo: async () => (await import("./demo/demo-command.ts")).demoCommand,
  migrate: async () => (await import("./migrate-command.ts")).migrateCommand,
  config: async () => (await import("./config-command.ts")).configCommand,
  meters: async () => (await import("./meters-command.ts")).metersCommand,
  keys: async () => (await import("./keys-command.ts")).keysCommand,
  certificates: async () => (await import("./certificates-command.ts")).certificatesCommand,
  read: async () => (await import("./read-command.ts")).readCommand,
  "meter-types": async () => (await import("./reference-commands.ts")).meterTypesCommand,
  obis: async () => (await import("./reference-commands.ts")).obisCommand,
  schedules: async () => (await import("./schedules-command.ts")).schedulesCommand,
  gaps: async () => (await import("./gaps-command.ts")).gapsCommand,
  "push-lists": async () => (await import("./push-lists-command.ts")).pushListsCommand,
  "push-setups": async () => (await import("./push-setups-command.ts")).pushSetupsCommand,
  clock: async () => (await import("./clock-command.ts")).clockCommand,
  commands: async () => (await import("./commands-command.ts")).commandsCommand,
  quarantine: async () => (await import("./quarantine-command.ts")).quarantineCommand,
  replay: async () => (await import("./replay-command.ts")).replayCommand,
  decode: async () => (await import("./decode/command.ts")).decodeCommand,
  simulate: async () => (await import("./simulate/simulate-command.ts")).simulateCommand,
  doctor: async () => (await import("./doctor/doctor-command.ts")).doctorCommand,
};

const PROCESS_OUTPUT: Output = {
  write: (text) => void process.stdout.write(text),
  error: (text) => void process.stderr.write(text),
};

/** Options before the command that have a value. */
const TAKES_A_FILE = new Set(["-c", "--config"]);

/** argv → one command. Resolves with the exit code; a user's mistake is printed as a sentence, a fault of ours with its stack. */
export async function run(argv: readonly string[], out: Output = PROCESS_OUTPUT): Promise<number> {
  let exitCode: number = EXIT.ok;
  try {
    const root = await rootCommand(namesFor(argv), out, (code) => {
      exitCode = code;
    });
    await root.parseAsync(argv as string[], { from: "user" });
    return exitCode;
  } catch (error) {
    // Commander has printed its own sentence, and asking for help isn't a mistake.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    out.error(`${printable(explain(error))}\n`);
    return exitCodeOf(error);
  }
}

/** Of the commands those that this command line can mean: the one that it names, none for the version, or all of them, for the help. */
function namesFor(argv: readonly string[]): readonly string[] {
  const asked = argv.find((word, at) => !word.startsWith("-") && !TAKES_A_FILE.has(argv[at - 1] ?? ""));
  if (asked === undefined && argv.some((word) => word === "-V" || word === "--version")) return [];
  return asked !== undefined && Object.hasOwn(COMMANDS, asked) ? [asked] : Object.keys(COMMANDS);
}

/** The command line as it is declared, with the commands of these names; docs/reference/commands.md is made from all of them. */
export async function rootCommand(
  names: readonly string[] = Object.keys(COMMANDS),
  out: Output = PROCESS_OUTPUT,
  finish: (code: number) => void = () => {},
): Promise<Command> {
  const root = new Command("hes")
    .description("DLMS/COSEM head-end system: meters push, their values stand in PostgreSQL or TimescaleDB")
    .version(VERSION, "-V, --version", "print the version")
    .option(
      "-c, --config <file>",
      "TOML file with the configuration (see: hes config print); HES_CONFIG names it as well",
    )
    .showHelpAfterError("(`hes help` lists the commands, `hes help COMMAND` their options)");
  const program: Program = {
    configFile: () => root.opts<{ config?: string }>().config,
    print: (text) => out.write(`${printable(text)}\n`),
    complain: (text) => out.error(`${printable(text)}\n`),
    finish,
  };
  for (const name of names) root.addCommand((await COMMANDS[name]!())(program));
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
