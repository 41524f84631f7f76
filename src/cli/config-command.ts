import { Command } from "commander";
import { loadConfig } from "../config.ts";
import { jsonSchema, printJson, printToml } from "./config-text.ts";
import type { Program } from "./program.ts";

export function configCommand(program: Program): Command {
  const command = new Command("config").description("Show and check the configuration");
  command
    .command("print")
    .description(
      "Print the whole configuration, commented, with where each value came from; secrets are masked",
    )
    .option("--json", "for scripts")
    .action((options: { json?: true }) => {
      const loaded = loadConfig(program.configFile());
      program.print(options.json ? printJson(loaded) : printToml(loaded));
    });
  command
    .command("check")
    .description("Say what is wrong with the configuration; exit code 78 where something is")
    .action(() => {
      loadConfig(program.configFile());
      program.print("The configuration is valid.");
    });
  command
    .command("schema")
    .description("Print a JSON Schema of the TOML file")
    .action(() => program.print(JSON.stringify(jsonSchema(), null, 2)));
  return command;
}
