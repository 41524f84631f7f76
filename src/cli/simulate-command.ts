import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { Command, Option } from "commander";
import { acceleratedClock } from "../../simulator/clock.ts";
import { Fleet, type FleetOptions } from "../../simulator/fleet.ts";
import { EXIT, UserError } from "../exit.ts";
import { parseSocketAddress } from "../transports/address.ts";
import { parseCount, parseDuration } from "./duration.ts";
import type { Program } from "./program.ts";
import { watchSignals } from "./signals.ts";

interface Options {
  readonly target: string;
  readonly meters: number;
  readonly models: string;
  readonly seed: number;
  readonly speed: number;
  readonly instantSeconds: number;
  readonly framing?: "wrapper" | "hdlc";
  readonly connection: "standing" | "per-push";
  readonly start?: string;
  readonly for?: number;
  readonly writeImport?: string;
  readonly json?: true;
}

const MODELS = ["D1", "D2", "D3"] as const;

export function simulateCommand(program: Program): Command {
  return new Command("simulate")
    .description("Let simulated Indian meters push at a head-end")
    .option("--target <address>", "where to push", "127.0.0.1:4059")
    .option("--meters <n>", "how many", parseCount(1, 1_000_000), 12)
    .option("--models <list>", "models in turn", "D1,D2,D3")
    .option("--seed <n>", "what all values follow from", parseCount(0), 1)
    .option("--speed <factor>", "how much faster than time their clocks run", parseCount(1, 100_000), 1)
    .option("--instant-seconds <n>", "period of instantaneous pushes on their clocks", parseCount(1), 900)
    .option("--start <time>", "what their clocks show first, ISO 8601; now where absent")
    .addOption(
      new Option("--framing <name>", "all meters the same; mixed where absent").choices(["wrapper", "hdlc"]),
    )
    .addOption(
      new Option("--connection <habit>", "one connection a meter, or one a push")
        .choices(["standing", "per-push"])
        .default("standing"),
    )
    .option("--for <time>", "end after a time such as 10m; without it Ctrl-C ends it", parseDuration)
    .option(
      "--write-import <directory>",
      "only write meters.csv and keys.csv for `hes meters import` and `hes keys import`",
    )
    .option("--json", "for scripts")
    .action((options: Options) => simulate(program, options));
}

async function simulate(program: Program, options: Options): Promise<void> {
  const fleet = new Fleet(fleetOptions(options));
  if (options.writeImport !== undefined) {
    mkdirSync(options.writeImport, { recursive: true });
    for (const [name, text] of [
      ["meters.csv", fleet.importCsv()],
      ["keys.csv", fleet.keysCsv()],
    ] as const) {
      // Simulated keys guard nothing, and yet: files with keys are for their owner.
      writeFileSync(join(options.writeImport, name), text, { mode: 0o600 });
      program.print(join(options.writeImport, name));
    }
    program.print("Their scalers: `hes meter-types import obis/example-scalers/simulated.csv`");
    return;
  }
  const signals = watchSignals(() => program.complain("Ending at once."));
  const ends = options.for === undefined ? [] : [delay(options.for, null, { ref: false })];
  fleet.start();
  await Promise.race([signals.first, ...ends]);
  await fleet.stop();
  signals.close();
  const { statistics } = fleet;
  if (options.json) return program.print(JSON.stringify(statistics));
  const kinds = Object.entries(statistics.pushes).filter(([, n]) => n > 0);
  program.print(
    `${statistics.meters} meters sent ${kinds.map(([kind, n]) => `${kind} ${n}`).join(", ") || "nothing"}`,
  );
  program.print(
    `${statistics.connections} connections, ${statistics.failures} failed, ${statistics.octets} octets`,
  );
  if (statistics.waiting > 0) {
    throw new UserError(
      EXIT.unavailable,
      `${statistics.waiting} pushes could not be sent to ${options.target}`,
    );
  }
}

function fleetOptions(options: Options): FleetOptions {
  const models = options.models.split(",").map((name) => {
    const model = MODELS.find((known) => known === name.trim().toUpperCase());
    if (!model)
      throw new UserError(
        EXIT.usage,
        `--models: there is no model "${name}"; there are ${MODELS.join(", ")}`,
      );
    return model;
  });
  const startMs = options.start === undefined ? Date.now() : Date.parse(options.start);
  if (Number.isNaN(startMs))
    throw new UserError(EXIT.usage, `--start: "${options.start}" is no time; write 2026-11-01T00:00:00Z`);
  const { host, port } = parseSocketAddress(options.target);
  return {
    meters: options.meters,
    models,
    seed: options.seed,
    target: { host, port },
    clock: acceleratedClock(startMs, options.speed, Date.now),
    schedule: { instantSeconds: options.instantSeconds },
    connection: options.connection,
    firstCounter: Math.floor((Date.now() - Date.UTC(2026, 0, 1)) / 100),
    ...(options.framing ? { choices: { framing: options.framing } } : {}),
  };
}
