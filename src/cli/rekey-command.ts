import { Command } from "commander";
import { EXIT, UserError } from "../exit.ts";
import { addKekToFile } from "../keys/kek-file.ts";
import { type ResealReport, resealKeys, type SealedWith, sealedWith } from "../storage/reseal.ts";
import type { Program } from "./program.ts";
import { type Session, withSession } from "./session.ts";

export function rekeyCommand(program: Program): Command {
  return new Command("rekey")
    .description(
      "Seal all stored keys and secrets anew with the current key-encryption key, the first of security.kek_file; may be interrupted and run again",
    )
    .option(
      "--new-key",
      "make a new key-encryption key first, and put it before the others in security.kek_file",
    )
    .option("--json", "for scripts")
    .action((options: { newKey?: true; json?: true }) =>
      withSession(program, async (session) => {
        if (options.newKey) await addKek(session);
        const ring = session.ring();
        const report = await resealKeys(session.database, ring);
        const left = (await sealedWith(session.database)).filter(({ kekId }) => kekId !== ring.kekId);
        program.print(
          options.json
            ? JSON.stringify({ kekId: ring.kekId, ...report, sealedWithFormer: left })
            : told(ring.kekId, report, left),
        );
        if (report.unopened.length > 0) program.finish(EXIT.data);
      }),
    );
}

/** A second new key before everything is sealed with the first would only lengthen the list. */
async function addKek({ config, database, ring }: Session): Promise<void> {
  if (config.security.kekCredential !== "") {
    throw new UserError(
      EXIT.usage,
      "--new-key is for security.kek_file. Put the new key before the former one in the credential's source, restart the daemon, then run `hes keys rekey`.",
    );
  }
  const { kekId } = ring();
  const former = (await sealedWith(database)).filter((sealed) => sealed.kekId !== kekId);
  if (former.length > 0) {
    throw new UserError(
      EXIT.data,
      `Some keys are still sealed with ${former.map((sealed) => sealed.kekId).join(", ")}: finish that first with \`hes keys rekey\`.`,
    );
  }
  addKekToFile(config.security.kekFile);
}

function told(kekId: string, { resealed, unopened }: ResealReport, left: readonly SealedWith[]): string {
  const done = `${resealed} keys and secrets were sealed anew; the key-encryption key is ${kekId}.`;
  if (left.length === 0 && unopened.length === 0) {
    return `${done}\nNothing needs a former one: its line can be removed, once no backup of the database needs it and every daemon has the new one.`;
  }
  const remaining = left.map(
    ({ kekId: former, keys, secrets }) => `  ${former}: ${keys} keys, ${secrets} secrets`,
  );
  return [
    done,
    ...unopened.map((text) => `Could not be opened: ${text}`),
    ...(remaining.length > 0 ? ["Still sealed with a former one:", ...remaining] : []),
  ].join("\n");
}
