import { Command } from "commander";
import { EXIT, UserError } from "../exit.ts";
import { counted } from "../finding.ts";
import { adopt } from "../ingest/adopt.ts";
import { replay } from "../ingest/replay.ts";
import { openPipeline } from "../pipeline.ts";
import { importMeters } from "../storage/meter-import.ts";
import { showMeter } from "../storage/meters.ts";
import type { QuarantineSummary } from "../storage/quarantine.ts";
import { ReplayStore } from "../storage/replay-store.ts";
import { commandObserver } from "./command-observer.ts";
import { type MeterOptions, meterLine, withMeterOptions } from "./meter-options.ts";
import type { Program } from "./program.ts";
import { quarantineOf } from "./quarantine-command.ts";
import { type Session, withSession } from "./session.ts";

const FRAMES_MAX = 100_000;

interface Adoption {
  stored: number;
  left: number;
  /** Why frames are left, with how many of them. */
  reasons: Record<string, number>;
}

export function adoptCommand(program: Program): Command {
  const command = new Command("adopt")
    .description(
      "Take in a meter that pushes were kept of, and store what was kept; makes the meter where --meter-type is given",
    )
    .argument("[who]", "as `hes quarantine list` names it: a system title, an address or a meter's number")
    .option("--all", "store what was kept of everybody who is known by now")
    .option("--meter-number <number>", "number of the meter; what it calls itself where absent")
    .option("--json", "for scripts");
  return withMeterOptions(command).action((who: string | undefined, options: MeterOptions) => {
    if ((who === undefined) === (options["all"] === undefined)) {
      throw new UserError(EXIT.usage, "Say whom to adopt, as `hes quarantine list` names it, or --all");
    }
    return withSession(program, async (session) => {
      const waiting = (await quarantineOf(session).list(FRAMES_MAX)).filter(
        (entry) => who === undefined || isOf(entry, who),
      );
      if (who !== undefined && options["meterType"] !== undefined) await makeMeter(session, who, options);
      else if (who !== undefined) await requireKnown(session, who, waiting, options);
      const adoption = await adoptAll(session, who, waiting);
      program.print(options["json"] ? JSON.stringify(adoption) : report(adoption));
    });
  });
}

const isOf = (entry: QuarantineSummary, who: string): boolean =>
  entry.identifier === who.toLowerCase() ||
  entry.identifier === who ||
  entry.meterNumber === who ||
  entry.source === who;

async function makeMeter({ database, ring }: Session, who: string, options: MeterOptions): Promise<void> {
  const isTitle = /^[0-9a-f]{16}$/i.test(who);
  const meterNumber = typeof options["meterNumber"] === "string" ? options["meterNumber"] : who;
  const own = isTitle ? { systemTitle: who, ...options } : options;
  await importMeters(database, await ring(), meterLine(meterNumber, own));
}

/** Without a meter the frames would only be refused again. */
async function requireKnown(
  { database }: Session,
  who: string,
  waiting: readonly QuarantineSummary[],
  options: MeterOptions,
): Promise<void> {
  const number = options["meterNumber"];
  const names = [who, ...(typeof number === "string" ? [number] : [])];
  for (const name of names) if (await showMeter(database, name)) return;
  if (waiting.some(({ meterId }) => meterId !== null)) return;
  throw new UserError(
    EXIT.data,
    `No meter is called "${who}": add --meter-type (and --meter-number, --guek, --gak) to make it, or import it first.`,
  );
}

async function adoptAll(
  session: Session,
  who: string | undefined,
  waiting: readonly QuarantineSummary[],
): Promise<Adoption> {
  const { config, database, log } = session;
  const quarantine = quarantineOf(session);
  const observer = commandObserver();
  const pipeline = await openPipeline(config, database, await session.ring(), observer, log);
  const adoption: Adoption = { stored: 0, left: 0, reasons: {} };
  const note = (reason: string, count: number) => {
    adoption.reasons[reason] = (adoption.reasons[reason] ?? 0) + count;
  };
  try {
    // Not verified yet: through the whole line, as if they came now.
    const strangers = new Set(
      waiting.flatMap((e) => (e.meterId === null && e.identifier !== null ? [e.identifier] : [])),
    );
    for (const identifier of strangers) {
      const frames = (await quarantine.take({ identifier }, FRAMES_MAX)).filter(
        ({ meterId }) => meterId === null,
      );
      const { stored, left } = await adopt(pipeline.ingest, frames);
      await quarantine.markAdopted(stored);
      adoption.stored += stored.length;
      adoption.left += left.length;
    }
    for (const [reason, count] of observer.reasons) note(reason, count);
    // Some of those were accepted, and wait under their meter's name for what they mean.
    adoption.stored -= observer.quarantined();
    // Authentic and accepted already: only their meaning was missing.
    for (const meterId of await metersWaiting(session, who, waiting)) {
      const store = new ReplayStore(
        database,
        pipeline.partitions,
        { meterId, quarantined: true },
        { timeZone: config.time.zone },
      );
      const report = await replay(pipeline.ingest, store);
      adoption.stored += report.frames - report.left.length;
      adoption.left += report.left.length;
      for (const { reason } of report.left) note(reason, 1);
    }
  } finally {
    await pipeline.close();
  }
  return adoption;
}

/** Meters of which accepted frames wait, those included that were strangers a moment ago. */
async function metersWaiting(
  session: Session,
  who: string | undefined,
  before: readonly QuarantineSummary[],
): Promise<ReadonlySet<string>> {
  const ids = (entries: readonly QuarantineSummary[]) =>
    entries.flatMap(({ meterId }) => (meterId === null ? [] : [meterId]));
  if (who === undefined) return new Set(ids(await quarantineOf(session).list(FRAMES_MAX)));
  const meter = await showMeter(session.database, who);
  return new Set([...ids(before), ...(meter ? [meter.id] : [])]);
}

function report({ stored, left, reasons }: Adoption): string {
  if (stored + left === 0) return "Nothing was kept.";
  const why = Object.entries(reasons).map(([reason, count]) => `${reason} ${count}`);
  const hint = reasons["scaler_unknown"] === undefined ? "" : "; `hes quarantine list` says what is missing";
  const rest =
    left === 0
      ? []
      : [`${counted(left, "frame")} can't be stored yet: ${why.join(", ") || "see the log"}${hint}.`];
  return [
    `${counted(stored, "frame")} that ${stored === 1 ? "was" : "were"} kept ${stored === 1 ? "is" : "are"} stored now.`,
    ...rest,
  ].join("\n");
}
