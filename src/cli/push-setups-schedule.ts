import { Command } from "commander";
import { formatTimePattern, parseTimePattern, TimePatternError } from "../commands/time-pattern.ts";
import { formatObis, parseObis } from "../dlms/cosem/obis-code.ts";
import { EXIT, UserError } from "../exit.ts";
import { saveActionSchedule } from "../storage/save-push-setup.ts";
import type { Program } from "./program.ts";
import { scopeOf } from "./push-setups-set.ts";
import { withSession } from "./session.ts";

interface Options {
  readonly triggers: string;
  readonly at: string[];
  readonly meter?: string;
  readonly type?: string;
  readonly group?: string;
}

export function scheduleCommand(program: Program): Command {
  return new Command("schedule")
    .description(
      "Say at which times meters push by themselves; `hes push-setups write METER` brings it to a meter",
    )
    .argument("<logical_name>", "the meter's single action schedule, such as 0.0.15.0.4.255")
    .requiredOption("--triggers <logical_name>", "the push setup that it triggers, such as 0.0.25.9.0.255")
    .requiredOption("--at <time...>", 'in the meter\'s time: 00:15, *:30:00, "06:00 *-*-01"')
    .option("--meter <meter>", "for one meter: number, id, system title or logical device name")
    .option("--type <meter_type>", "for the meters of a type")
    .option("--group <name>", "for the meters of a group; without any of the three for all meters")
    .action((text: string, options: Options) =>
      withSession(program, async ({ database }) => {
        const logicalName = formatObis(parseObis(text));
        const pushSetup = formatObis(parseObis(options.triggers));
        const times = options.at.map(timeOf);
        const { meter, type, group } = options;
        if (group !== undefined && (meter ?? type) !== undefined) {
          throw new UserError(EXIT.usage, "--meter, --type and --group exclude each other");
        }
        const { meterId, meterType } = await scopeOf(database, options);
        const scope = { meterId, meterType, group: group ?? null };
        if (!(await saveActionSchedule(database, logicalName, pushSetup, scope, times))) {
          throw new UserError(
            EXIT.data,
            `There is no push setup ${pushSetup}: hes push-setups set ${pushSetup}`,
          );
        }
        program.print(`${logicalName} triggers ${pushSetup} at ${times.join(", ")}.`);
      }),
    );
}

function timeOf(text: string): string {
  try {
    return formatTimePattern(parseTimePattern(text));
  } catch (error) {
    if (error instanceof TimePatternError) throw new UserError(EXIT.usage, error.message);
    throw error;
  }
}
