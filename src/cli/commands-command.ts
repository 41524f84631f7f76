import { Command } from "commander";
import { EXIT, UserError } from "../exit.ts";
import { listCommands } from "../storage/meter-commands.ts";
import type { Program } from "./program.ts";
import { withSession } from "./session.ts";
import { instant, textTable } from "./text-table.ts";

/** `hes commands`: what was done to meters, the latest first. */
export function commandsCommand(program: Program): Command {
  return new Command("commands")
    .description("List what was done to meters (clocks set, pushes configured), the latest first")
    .argument("[meter_number]", "only of this meter")
    .option("--limit <n>", "at most so many", "50")
    .option("--json", "for scripts")
    .action((meterNumber: string | undefined, options: { limit: string; json?: true }) =>
      withSession(program, async ({ database }) => {
        const limit = Number(options.limit);
        if (!Number.isInteger(limit) || limit < 1)
          throw new UserError(EXIT.usage, "--limit is a number from 1");
        const commands = await listCommands(database, {
          ...(meterNumber === undefined ? {} : { meterNumber }),
          limit,
        });
        if (options.json) {
          program.print(JSON.stringify(commands));
          return;
        }
        const rows = commands.map((one) => ({
          id: one.id,
          meter: one.meterNumber,
          command: one.kind,
          client: one.clientSap,
          state: one.state,
          steps: one.steps,
          requested: instant(one.requestedAt),
          finished: instant(one.finishedAt),
          reason: one.reason,
        }));
        program.print(textTable(rows, "Nothing was done to a meter yet."));
      }),
    );
}
