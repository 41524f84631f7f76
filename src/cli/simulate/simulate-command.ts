import { mkdirSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { Command, Option } from "commander";
import type { DeviceModel } from "../../../simulator/device/device-model.ts";
import { playedDevice } from "../../../simulator/device/played-model.ts";
import { FAULT_NAMES, FAULTS } from "../../../simulator/faults.ts";
import { Fleet } from "../../../simulator/fleet.ts";
import { QUIRK_NAMES, QUIRKS } from "../../../simulator/habits.ts";
import { catalogueFolder } from "../../catalogue/catalogue-folder.ts";
import { DecodeError } from "../../dlms/bytes/errors.ts";
import { modelFromJson } from "../../dlms/cosem/meter-model-reader.ts";
import { EXIT, UserError } from "../../exit.ts";
import { importKeys } from "../../storage/key-import.ts";
import { importMeters } from "../../storage/meter-import.ts";
import { importScalers } from "../../storage/scaler-import.ts";
import { parseCount, parseDuration } from "../duration.ts";
import { readText } from "../input.ts";
import type { Program } from "../program.ts";
import { withSession } from "../session.ts";
import { watchSignals } from "../signals.ts";
import { openFilesMax, requireFiles } from "./file-limit.ts";
import { CLOCK_FAULTS, type FleetArguments, fleetOptions } from "./fleet-options.ts";
import { report, verdict } from "./simulate-report.ts";
import { verify } from "./verification.ts";
import { inVerifiedDatabase, requireFleet } from "./verified-database.ts";

/** Time that a busy head-end has to take what was sent last. */
const FINISH_MS = 120_000;
/** And one that has never answered. */
const FINISH_UNHEARD_MS = 2_000;
/** So often it is looked whether anybody has taken a call yet. */
const LOOK_MS = 1_000;

interface Options extends FleetArguments {
  readonly for?: number;
  readonly files?: string;
  readonly device?: string;
  readonly onlyFiles?: true;
  readonly import?: true;
  readonly verify?: string | true;
  readonly json?: true;
}

export function simulateCommand(program: Program): Command {
  const command = new Command("simulate")
    .description(
      "Let simulated meters push at a head-end, on good days and bad ones, and compare what it stored with what they sent",
    )
    .option("--to <address>", "where to push; the path of a serial line", "127.0.0.1:4059")
    .addOption(
      new Option("--transport <name>", "how: a serial line has one meter")
        .choices(["tcp", "udp", "serial"])
        .default("tcp"),
    )
    .option("--baud <n>", "of a serial line", parseCount(300, 4_000_000), 9_600)
    .option("--meters <n>", "how many", parseCount(1, 1_000_000), 12)
    .option("--model <list>", "models in turn", "D1,D2,D3")
    .option(
      "--push <list>",
      "periods of their pushes by their clocks, such as instant=15m,block=1h; off for none; list=1m: lists of customer interfaces no more often",
      "instant=15m",
    )
    .option("--incidents <n>", "events a day of each meter, on average", parseCount(0, 86_400), 4)
    .option("--seed <n>", "what all values and faults follow from", parseCount(0), 1)
    .option("--speed <factor>", "how much faster than time their clocks run", parseCount(1, 100_000), 1)
    .option(
      "--start <time>",
      "what their clocks show first, ISO 8601, or spring or autumn: two hours before Central European clocks change; now where absent",
    )
    .option(
      "--first-counter <n>",
      "invocation counter of each meter's first push; above all earlier runs' where absent",
      parseCount(1, 0xffff_0000),
    )
    .option("--ramp <time>", "meters begin one after the other over so long", parseDuration, 0);
  return faultOptions(lineOptions(command))
    .option("--for <time>", "end after a time such as 10m; without it Ctrl-C ends it", parseDuration)
    .option(
      "--files <directory>",
      "write meters.csv, keys.csv and scalers.csv for `hes meters import`, `hes keys import` and `hes meter-types import`",
    )
    .option("--only-files", "end when they are written")
    .option("--import", "import the same into the configured database first")
    .option(
      "--verify [database-url]",
      "at the end compare what was sent with what is stored, in the configured database where no URL is given",
    )
    .option("--json", "for scripts")
    .addHelpText("after", namesHelp)
    .action((options: Options) => simulate(program, options));
}

/** What --faults and --quirks may name. */
function namesHelp(): string {
  const section = (title: string, about: readonly (readonly [name: string, about: string])[]) =>
    [`\n${title}`, ...about.map(([name, text]) => `  ${name.padEnd(20)} ${text}`)].join("\n");
  return [
    section("Faults:", [
      ...FAULT_NAMES.map((name) => [name, FAULTS[name].about] as const),
      ...Object.entries(CLOCK_FAULTS),
    ]),
    section(
      "Quirks:",
      QUIRK_NAMES.map((name) => [name, QUIRKS[name].about] as const),
    ),
  ].join("\n");
}

/** How meters are connected, protected and confirmed. */
function lineOptions(command: Command): Command {
  return command
    .addOption(
      new Option("--framing <name>", "all meters the same; mixed where absent").choices(["wrapper", "hdlc"]),
    )
    .addOption(
      new Option("--connection <habit>", "one connection a meter, or one a push")
        .choices(["standing", "per-push"])
        .default("standing"),
    )
    .option(
      "--confirmed <share>",
      "of the meters, ask for a confirmation of each push and send it again until that comes, in wrapper PDUs; such as 100%",
    )
    .option(
      "--push-setup <list>",
      "what their push setups say at first: randomisation=60s,retries=3,repetition=10s",
      "",
    )
    .addOption(
      new Option("--suite <n>", "security suite; 1 and 2 with global keys")
        .choices(["0", "1", "2"])
        .default("0"),
    )
    .option(
      "--trial-clients",
      "associations for every mechanism besides the model's: clients 97 to 102 in clear (of IDIS 96 instead of 102), 112 to 118 ciphered",
    )
    .option("--client-keys", "every association but the public client's has keys of its own")
    .option("--device <file>", "what meters answer from: a meter model that `hes read --all` wrote")
    .option(
      "--listen <address>",
      "let meters be called: the first at this port, each other at the next; without it they answer on the connections they make",
    );
}

function faultOptions(command: Command): Command {
  return command
    .option(
      "--faults <list>",
      "what goes wrong on the way, each with its share of all pushes: all, all=0.1%, flip=1%,drop; names below",
      "",
    )
    .option(
      "--quirks <list>",
      "what meters do otherwise than the standard says, by turns: all, or names below",
      "",
    )
    .option("--power-cut <time>", "the power of all meters fails so long after the start", parseDuration)
    .option(
      "--holes <share>",
      "of block load pushes that meters capture and keep back: for polls to fill, such as 5%",
    )
    .addOption(
      new Option("--dark <time>", "how long it stays away").argParser(parseDuration).default(30_000, "30s"),
    )
    .addOption(
      new Option("--back-within <time>", "how long it takes until all meters are back")
        .argParser(parseDuration)
        .default(60_000, "1m"),
    );
}

async function simulate(program: Program, options: Options): Promise<void> {
  const device = options.device === undefined ? {} : { device: deviceOf(options.device) };
  const fleet = new Fleet({ ...fleetOptions(options, Date.now), ...device });
  if (options.files !== undefined) await writeFiles(program, fleet, options.files);
  if (options.onlyFiles) return;
  requireFiles(options, openFilesMax());
  if (options.import) await importFleet(program, fleet);
  const { verify: where } = options;
  // Before a run of minutes or hours, not behind it.
  if (where !== undefined)
    await inVerifiedDatabase(program, where, (database) => requireFleet(database, fleet));
  const began = Date.now();
  await run(program, fleet, options);
  const verification =
    where === undefined
      ? null
      : await inVerifiedDatabase(program, where, (database) => verify(database, fleet, began));
  const { statistics } = fleet;
  if (options.json) program.print(JSON.stringify({ ...statistics, verification }));
  else program.print([...report(statistics), ...(verification ? verdict(verification) : [])].join("\n"));
  if (statistics.waiting > 0) {
    throw new UserError(EXIT.unavailable, `${statistics.waiting} pushes could not be sent to ${options.to}`);
  }
  if (statistics.doubtful > 0) {
    program.complain(
      `${statistics.doubtful} pushes may not have arrived: the head-end did not read them within ${FINISH_MS / 1_000} s`,
    );
  }
  if (verification?.same === false) program.finish(EXIT.data);
}

function deviceOf(path: string): DeviceModel {
  try {
    return playedDevice(modelFromJson(JSON.parse(readText(path))));
  } catch (error) {
    if (!(error instanceof DecodeError || error instanceof SyntaxError)) throw error;
    throw new UserError(EXIT.data, `--device ${path}: ${error.message}`);
  }
}

async function run(program: Program, fleet: Fleet, { for: forMs, to }: Options): Promise<void> {
  const signals = watchSignals(() => program.complain("Ending at once."));
  const ends = forMs === undefined ? [] : [delay(forMs, null, { ref: false })];
  try {
    await fleet.listen();
  } catch (error) {
    await fleet.stop(0);
    signals.close();
    throw error;
  }
  fleet.start();
  const looking = setInterval(() => {
    const { connections, failures } = fleet.statistics;
    if (connections > 0 || failures > 0) clearInterval(looking);
    if (connections === 0 && failures > 0)
      program.complain(`Nobody answers at ${to} yet; the meters go on trying.`);
  }, LOOK_MS);
  await Promise.race([signals.first, ...ends]);
  clearInterval(looking);
  await fleet.stop(fleet.statistics.connections > 0 ? FINISH_MS : FINISH_UNHEARD_MS);
  signals.close();
}

const scalers = () => readFile(join(catalogueFolder(), "example-scalers", "simulated.csv"), "utf8");

async function writeFiles(program: Program, fleet: Fleet, directory: string): Promise<void> {
  mkdirSync(directory, { recursive: true });
  for (const [name, text] of [
    ["meters.csv", fleet.importCsv()],
    ["keys.csv", fleet.keysCsv()],
    ["scalers.csv", await scalers()],
  ] as const) {
    // Simulated keys guard nothing, and yet: files with keys are for their owner.
    writeFileSync(join(directory, name), text, { mode: 0o600 });
    program.complain(`wrote ${join(directory, name)}`);
  }
}

/** The same files that a utility gets from its meters' maker, imported in the same way. */
async function importFleet(program: Program, fleet: Fleet): Promise<void> {
  await withSession(program, async ({ database, ring }) => {
    const keys = await ring();
    const { created, updated } = await importMeters(database, keys, fleet.importCsv());
    await importKeys(database, keys, fleet.keysCsv());
    await importScalers(database, await scalers());
    program.complain(`imported ${created + updated} meters, ${created} of them new`);
  });
}
