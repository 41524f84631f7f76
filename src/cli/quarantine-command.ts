import { Command } from "commander";
import { EXIT, UserError } from "../exit.ts";
import { openQuarantine, type QuarantinedFrame, type QuarantineSelection } from "../storage/quarantine.ts";
import type { Program } from "./program.ts";
import { type Session, withSession } from "./session.ts";
import { instant, textTable } from "./text-table.ts";

export const quarantineOf = ({ config, database }: Session) =>
  openQuarantine(database, {
    framesPerSourceMax: config.limits.quarantineFramesPerSource,
    framesMax: config.limits.quarantineFramesMax,
  });

export function quarantineCommand(program: Program): Command {
  const command = new Command("quarantine").description(
    "Frames that are kept because something about them isn't known",
  );
  command
    .command("list")
    .description("List who sent what is kept, and why it waits; `hes meters adopt` stores it")
    .option("--json", "for scripts")
    .action((options: { json?: true }) =>
      withSession(program, async (session) => {
        const waiting = await quarantineOf(session).list();
        if (options.json) return program.print(JSON.stringify(waiting, null, 2));
        const rows = waiting.map((entry) => ({
          who: entry.meterNumber ?? entry.identifier,
          known: entry.meterNumber !== null,
          reason: entry.reason,
          frames: entry.frames,
          first: instant(entry.firstAtMs),
          last: instant(entry.lastAtMs),
          from: entry.source,
          text: entry.message,
        }));
        program.print(textTable(rows, "Nothing is in quarantine."));
      }),
    );
  command
    .command("show")
    .description("Show the kept frames of one meter or stranger, with their octets in hex for `hes decode`")
    .argument("<who>", "as `hes quarantine list` names it")
    .option("--limit <n>", "at most so many", "20")
    .option("--json", "for scripts")
    .action((who: string, options: { limit: string; json?: true }) =>
      withSession(program, async (session) => {
        const quarantine = quarantineOf(session);
        const frames = await quarantine.take(await selectionOf(session, who), Number(options.limit) || 20);
        if (frames.length === 0) throw new UserError(EXIT.data, `Nothing of "${who}" is in quarantine.`);
        if (options.json) return program.print(JSON.stringify(frames.map(plain), null, 2));
        for (const frame of frames) {
          program.print(
            `${frame.id}  ${instant(frame.receivedAtMs)}  from ${frame.source}  ${frame.framing}  ${frame.reason}`,
          );
          if (frame.message) program.print(`  ${frame.message}`);
          program.print(`  ${frame.apdu.toString("hex")}`);
        }
      }),
    );
  return command;
}

/** A meter by its number, else whoever calls himself so. */
export async function selectionOf(session: Session, who: string): Promise<QuarantineSelection> {
  const waiting = await quarantineOf(session).list();
  const known = waiting.find(({ meterNumber }) => meterNumber === who);
  return known?.meterId ? { meterId: known.meterId } : { identifier: who };
}

const plain = ({ apdu, receivedAtMs, ...frame }: QuarantinedFrame) => ({
  ...frame,
  receivedAt: instant(receivedAtMs),
  apdu: apdu.toString("hex"),
});
