import { Command } from "commander";
import { PushConfigurationError } from "../commands/push-configuration.ts";
import { wantedOfPushSetup } from "../commands/push-setup-attributes.ts";
import { formatObis, parseObis } from "../dlms/cosem/obis-code.ts";
import { EXIT, UserError } from "../exit.ts";
import type { Database } from "../storage/database.ts";
import { type PushSetupChange, type PushSetupScope, savePushSetup } from "../storage/save-push-setup.ts";
import { namedMeter } from "./named-meter.ts";
import type { Program } from "./program.ts";
import { withSession } from "./session.ts";

interface Options {
  readonly meter?: string;
  readonly type?: string;
  readonly category?: string;
  readonly destination?: string;
  readonly transport?: string;
  readonly message?: string;
  readonly randomisation?: string;
  readonly retries?: string;
  readonly delay?: string;
  readonly name?: string;
  readonly disable?: true;
  readonly enable?: true;
  readonly json?: true;
}

export function setCommand(program: Program): Command {
  return new Command("set")
    .description(
      "Say how a push setup of meters is meant to be; `hes push-setups write METER` brings it to a meter",
    )
    .argument("<logical_name>", "the push setup object, such as 0.5.25.9.0.255")
    .option("--meter <meter>", "for one meter: number, id, system title or logical device name")
    .option("--type <meter_type>", "for the meters of a type")
    .option("--category <category>", "for the meters of a category; without any of the three for all meters")
    .option(
      "--destination <host:port>",
      "where it pushes to; without one a setup is neither written nor checked",
    )
    .option("--transport <name>", "tcp, udp and others of the class")
    .option("--message <name>", "a-xdr or xml")
    .option("--randomisation <seconds>", "longest random delay before a push")
    .option("--retries <n>", "how often a push is repeated")
    .option("--delay <seconds>", "between repetitions")
    .option("--name <text>", "what people call it")
    .option("--disable", "leave it out from now on")
    .option("--enable", "take it up again")
    .option("--json", "for scripts")
    .action((text: string, options: Options) =>
      withSession(program, async ({ database }) => {
        const logicalName = formatObis(parseObis(text));
        const change = changeOf(logicalName, options);
        const { id, isNew } = await savePushSetup(
          database,
          logicalName,
          await scopeOf(database, options),
          change,
        );
        program.print(
          options.json
            ? JSON.stringify({ id, is_new: isNew })
            : `Push setup ${id} was ${isNew ? "added" : "changed"}.`,
        );
      }),
    );
}

/** What fits into no meter is refused here, in the words in which writing would refuse it. */
function changeOf(logicalName: string, options: Options): PushSetupChange {
  if (options.enable && options.disable)
    throw new UserError(EXIT.usage, "--enable and --disable exclude each other");
  const randomisation = numberOf("--randomisation", options.randomisation);
  const retries = numberOf("--retries", options.retries);
  const delay = numberOf("--delay", options.delay);
  try {
    wantedOfPushSetup(
      {
        ...{ id: 0, name: logicalName, logicalName, standard: null, lists: [], communicationWindows: null },
        transportService: options.transport ?? null,
        destination: options.destination ?? "",
        messageType: options.message ?? null,
        randomisationStartIntervalSeconds: randomisation ?? null,
        numberOfRetries: retries ?? null,
        repetitionDelaySeconds: delay ?? null,
      },
      1,
    );
  } catch (error) {
    if (error instanceof PushConfigurationError) throw new UserError(EXIT.usage, error.message);
    throw error;
  }
  return {
    ...(options.name === undefined ? {} : { name: options.name }),
    ...(options.destination === undefined ? {} : { destination: options.destination }),
    ...(options.transport === undefined ? {} : { transportService: options.transport }),
    ...(options.message === undefined ? {} : { messageType: options.message }),
    ...(randomisation === undefined ? {} : { randomisationStartIntervalSeconds: randomisation }),
    ...(retries === undefined ? {} : { numberOfRetries: retries }),
    ...(delay === undefined ? {} : { repetitionDelaySeconds: delay }),
    ...(options.enable || options.disable ? { enabled: options.enable === true } : {}),
  };
}

function numberOf(option: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^\d{1,9}$/.test(text))
    throw new UserError(EXIT.usage, `${option} ${JSON.stringify(text)} is no number`);
  return Number(text);
}

/** The meter, type or category that options name. @throws UserError */
export async function scopeOf(
  database: Database,
  { meter, type, category }: Pick<Options, "meter" | "type" | "category">,
): Promise<PushSetupScope> {
  const given = [meter, type, category].filter((value) => value !== undefined).length;
  if (given > 1) throw new UserError(EXIT.usage, "--meter, --type and --category exclude each other");
  if (type !== undefined) {
    const [known] = await database.query("SELECT 1 FROM meter_types WHERE name = $1", [type]);
    if (known === undefined)
      throw new UserError(EXIT.data, `There is no meter type "${type}": see \`hes meter-types list\`.`);
  }
  if (meter === undefined) return { meterId: null, meterType: type ?? null, category: category ?? null };
  return { meterId: (await namedMeter(database, meter)).id, meterType: null, category: null };
}
