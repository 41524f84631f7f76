import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "../../src/cli/run.ts";

export interface Answer {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CommandLine {
  /** Directory of the configuration and of everything that the commands write. */
  readonly folder: string;
  hes(...argv: string[]): Promise<Answer>;
  /** Runs with --json and parses what it prints. */
  // biome-ignore lint/suspicious/noExplicitAny: each command has its own shape
  json(...argv: string[]): Promise<any>;
  file(name: string, text: string): string;
  remove(): void;
}

/** The `hes` command in this process, configured to use one database; an empty URL is the embedded one of `dataDir`. */
export function commandLine(databaseUrl: string, dataDir?: string): CommandLine {
  const folder = mkdtempSync(join(tmpdir(), "hes-cli-"));
  const file = (name: string, text: string) => {
    const path = join(folder, name);
    writeFileSync(path, text);
    return path;
  };
  const config = file(
    "hes.toml",
    `data_dir = ${JSON.stringify(dataDir ?? join(folder, "data"))}\n[database]\nurl = ${JSON.stringify(databaseUrl)}\n`,
  );
  const hes = async (...argv: string[]) => {
    let stdout = "";
    let stderr = "";
    const code = await run(["--config", config, ...argv], {
      write: (text) => {
        stdout += text;
      },
      error: (text) => {
        stderr += text;
      },
    });
    return { code, stdout, stderr };
  };
  return {
    folder,
    hes,
    json: async (...argv) => {
      const { code, stdout, stderr } = await hes(...argv, "--json");
      if (code !== 0) throw new Error(`hes ${argv.join(" ")} ended with ${code}: ${stderr}`);
      return JSON.parse(stdout);
    },
    file,
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}
