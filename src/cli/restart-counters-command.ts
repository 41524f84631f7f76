import { userInfo } from "node:os";
import { Command } from "commander";
import { EXIT, UserError } from "../exit.ts";
import { type RestartedKey, restartReceivedCounters } from "../storage/restart-counters.ts";
import { namedMeter } from "./named-meter.ts";
import type { Program } from "./program.ts";
import { withSession } from "./session.ts";
import { textTable } from "./text-table.ts";
import { clientSapOf } from "./with-meter.ts";

interface Options {
  readonly reason: string;
  readonly client?: string;
  readonly json?: true;
}

/** `hes keys restart-counters METER`: a meter that was reset counts from the beginning again, and would be refused for ever. */
export function restartCountersCommand(program: Program): Command {
  return new Command("restart-counters")
    .description(
      "Accept a meter's invocation counters from the beginning: after a factory reset, or where another meter took its place with the same keys",
    )
    .argument("<meter>", "number, id, system title or logical device name")
    .requiredOption(
      "--reason <text>",
      "why; kept in event_logs with who did it and the counters that were given up",
    )
    .option("--client <sap>", "only of the key that this association has for itself")
    .option("--json", "for scripts")
    .action((name: string, options: Options) =>
      withSession(program, async ({ database, ring }) => {
        const clientSap = options.client === undefined ? null : clientSapOf(options.client);
        const meter = await namedMeter(database, name);
        const keys = await restartReceivedCounters(database, await ring(), {
          ...{ meterId: meter.id, clientSap, reason: options.reason, by: userInfo().username },
        });
        if (keys.length === 0) {
          const whose = clientSap === null ? "" : ` that is only of client ${clientSap}`;
          throw new UserError(
            EXIT.data,
            `${meter.meterNumber} has no encryption key${whose}: nothing was changed.`,
          );
        }
        if (options.json) return program.print(JSON.stringify({ meter: meter.meterNumber, keys }));
        program.print(textTable(keys.map(row), ""));
        program.complain(
          "Frames that were recorded before can be sent again now: give the meter new keys (`hes keys rotate`) when it is reached.",
        );
      }),
    );
}

const row = ({ clientSap, keyId, formerKeyId, counter }: RestartedKey) => ({
  client_sap: clientSap ?? "all",
  key: keyId,
  former_key: formerKeyId,
  former_counter: counter,
});
