import { Command } from "commander";
import { EXIT, UserError } from "../exit.ts";
import { replay } from "../ingest/replay.ts";
import { openPipeline } from "../pipeline.ts";
import { type FrameSelection, ReplayStore } from "../storage/replay-store.ts";
import { commandObserver } from "./command-observer.ts";
import { namedMeter } from "./named-meter.ts";
import type { Program } from "./program.ts";
import { type Session, withSession } from "./session.ts";
import { textTable } from "./text-table.ts";

interface Options {
  readonly meter?: string;
  readonly from?: string;
  readonly to?: string;
  readonly quarantined?: true;
  readonly json?: true;
}

export function replayCommand(program: Program): Command {
  return new Command("replay")
    .description(
      "Decode stored frames again after scalers, codes or lists have changed, and correct the rows that they gave",
    )
    .option("--meter <number>", "only frames of this meter")
    .option("--from <time>", "received at this time or later, ISO 8601")
    .option("--to <time>", "received before this time")
    .option("--quarantined", "only frames that are in quarantine")
    .option("--json", "for scripts")
    .action((options: Options) =>
      withSession(program, async (session) => {
        const { config, database, log } = session;
        const selection = await selectionOf(session, options);
        const pipeline = await openPipeline(config, database, await session.ring(), commandObserver(), log);
        try {
          const store = new ReplayStore(database, pipeline.partitions, selection, {
            timeZone: config.time.zone,
          });
          const report = await replay(pipeline.ingest, store);
          if (options.json) return program.print(JSON.stringify(report));
          program.print(
            `${report.frames} frames were decoded again: ${report.rowsAdded} rows added, ${report.rowsCorrected} corrected.`,
          );
          if (report.left.length > 0) {
            const rows = report.left
              .slice(0, 50)
              .map(({ frameId, reason, text }) => ({ frame: frameId, reason, text }));
            program.print(`${report.left.length} can't be stored yet:\n${textTable(rows, "")}`);
          }
        } finally {
          await pipeline.close();
        }
      }),
    );
}

async function selectionOf({ database }: Session, options: Options): Promise<FrameSelection> {
  const meter = options.meter === undefined ? null : await namedMeter(database, options.meter);
  return {
    ...(meter ? { meterId: meter.id } : {}),
    ...(options.from === undefined ? {} : { fromMs: instantOf("--from", options.from) }),
    ...(options.to === undefined ? {} : { toMs: instantOf("--to", options.to) }),
    ...(options.quarantined ? { quarantined: true } : {}),
  };
}

function instantOf(option: string, text: string): number {
  const ms = Date.parse(text);
  if (Number.isNaN(ms))
    throw new UserError(
      EXIT.usage,
      `${option}: "${text}" is no time; write 2026-11-01 or 2026-11-01T06:00:00Z`,
    );
  return ms;
}
