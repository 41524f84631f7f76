import { Command } from "commander";
import { EXIT } from "../../exit.ts";
import { parseCount, parseDuration } from "../duration.ts";
import type { Program } from "../program.ts";
import { watchSignals } from "../signals.ts";
import { runDemo } from "./demo-run.ts";
import { shortcomings, summary } from "./demo-verdict.ts";

interface Options {
  readonly for?: number;
  readonly dataDir?: string;
  readonly meters: number;
  readonly speed: number;
}

export function demoCommand(program: Program): Command {
  return new Command("demo")
    .description(
      "Show the whole job: embedded PostgreSQL, daemon, simulated meters that push and are polled, and where their values are stored",
    )
    .option(
      "--for <time>",
      "end by itself after a time such as 20s; without it Ctrl-C ends it",
      parseDuration,
    )
    .option("--data-dir <directory>", "keep the database there; without it everything is removed at the end")
    .option("--meters <n>", "how many meters push", parseCount(3, 10_000), 12)
    .option(
      "--speed <factor>",
      "how much faster than time the meters' clocks run",
      parseCount(1, 100_000),
      1800,
    )
    .action(async (options: Options) => {
      const signals = watchSignals(() => program.complain("Ending at once."));
      const result = await runDemo({
        dataDir: options.dataDir ?? null,
        meters: options.meters,
        speed: options.speed,
        forMs: options.for ?? null,
        ended: signals.first,
        output: process.stdout,
        print: program.print,
      });
      signals.close();
      const problems = shortcomings(result);
      program.print(summary(result, problems));
      // Whoever ends it early sees what there is; nothing is wrong with a table that had no time to fill.
      const complete = options.for !== undefined;
      if (complete && problems.length > 0) program.finish(EXIT.internal);
    });
}
