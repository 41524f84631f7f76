import { Command, Option } from "commander";
import { parseObis } from "../dlms/cosem/obis-code.ts";
import { EXIT } from "../exit.ts";
import { type RotatedKind, type RotationOutcome, rotateKeys } from "../keys/rotation.ts";
import type { MeterRoads } from "../polling/meter-association.ts";
import { openRotationStore } from "../storage/key-rotation.ts";
import type { MeterSummary } from "../storage/meters.ts";
import { namedMeter } from "./named-meter.ts";
import type { Program } from "./program.ts";
import { type Session, withSession } from "./session.ts";
import { textTable } from "./text-table.ts";
import { clientSapOf } from "./with-meter.ts";
import { withRoads } from "./with-roads.ts";

interface RotateOptions {
  readonly kind: "both" | RotatedKind;
  readonly client?: string;
  readonly through: string;
  readonly securitySetup: string;
  readonly json?: true;
}

export function rotateCommand(program: Program): Command {
  return new Command("rotate")
    .description(
      "Give meters new keys, wrapped with their master key; run again where the outcome is unknown, and it is found out",
    )
    .argument("<meter...>", "numbers, ids, system titles or logical device names")
    .addOption(
      new Option("--kind <kind>", "which keys; both: guek and gak together")
        .choices(["both", "guek", "gak", "master"])
        .default("both"),
    )
    .option("--client <sap>", "rotate the keys that only this association uses, instead of the meter's")
    .option(
      "--through <sap>",
      "the association that may transfer keys: 48 utility setting, 1 management",
      "48",
    )
    .option("--security-setup <obis>", "the meter's object of class 64", "0.0.43.0.0.255")
    .option("--json", "for scripts")
    .action((names: string[], options: RotateOptions) =>
      withSession(program, async (session) => {
        const meters = await metersOf(session, names);
        const results = await withRoads(session, (roads) => rotateAll(session, roads, meters, options));
        if (options.json) program.print(JSON.stringify(results, null, 2));
        else program.print(textTable(results, "No meter was named."));
        if (results.some(({ outcome }) => outcome !== "rotated")) program.finish(EXIT.unavailable);
      }),
    );
}

/** All of them are known before the first is touched. @throws UserError */
async function metersOf({ database }: Session, names: readonly string[]): Promise<MeterSummary[]> {
  const meters: MeterSummary[] = [];
  for (const name of names) meters.push(await namedMeter(database, name, "Nothing was rotated."));
  return meters;
}

interface RotationResult extends Record<string, string> {
  readonly meter: string;
  readonly outcome: RotationOutcome["kind"];
  readonly why: string;
}

/** One meter after the other. Ctrl-C ends with the meter that is being talked to; its outcome is found out the next time. */
async function rotateAll(
  session: Session,
  roads: MeterRoads,
  meters: readonly MeterSummary[],
  options: RotateOptions,
): Promise<RotationResult[]> {
  const store = openRotationStore(session.database, await session.ring());
  const interrupt = new AbortController();
  const onSignal = () => interrupt.abort();
  process.once("SIGINT", onSignal);
  const how = {
    kinds: options.kind === "both" ? (["guek", "gak"] as const) : ([options.kind] as const),
    clientSap: options.client === undefined ? null : clientSapOf(options.client),
    through: clientSapOf(options.through),
    securitySetup: parseObis(options.securitySetup),
    signal: interrupt.signal,
  };
  const results: RotationResult[] = [];
  try {
    for (const meter of meters) {
      if (interrupt.signal.aborted) break;
      const outcome = await rotateKeys({ ...how, meterId: meter.id }, roads, store);
      results.push({
        meter: meter.meterNumber,
        outcome: outcome.kind,
        why: outcome.kind === "rotated" ? "" : outcome.why,
      });
    }
  } finally {
    process.off("SIGINT", onSignal);
  }
  return results;
}
