import { userInfo } from "node:os";
import { Command } from "commander";
import { isKekMissing, openKeyRing } from "../configured-keys.ts";
import { EXIT, UserError } from "../exit.ts";
import { addKekToFile, makeKekFile } from "../keys/kek-file.ts";
import { recordSystemEvents } from "../storage/event-logs.ts";
import {
  describeSealed,
  type ResealReport,
  resealKeys,
  type SealedWith,
  sealedWith,
} from "../storage/reseal.ts";
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
    .option(
      "--lost",
      "where security.kek_file is lost for good: only make another. What is sealed opens no more, and is imported again",
    )
    .option("--json", "for scripts")
    .action((options: { newKey?: true; lost?: true; json?: true }) =>
      withSession(program, async (session) => {
        if (options.newKey && options.lost) throw new UserError(EXIT.usage, "Either --new-key or --lost");
        if (options.lost) return replaceLost(program, session, options.json ?? false);
        if (options.newKey) await addKek(session);
        const ring = await session.ring();
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
  const keys = await ring();
  // What a lost one seals can't be finished.
  const former = (await sealedWith(database)).filter(
    ({ kekId }) => kekId !== keys.kekId && keys.knows(kekId),
  );
  if (former.length > 0) {
    throw new UserError(
      EXIT.data,
      `Some keys are still sealed with ${former.map((sealed) => sealed.kekId).join(", ")}: finish that first with \`hes keys rekey\`.`,
    );
  }
  addKekToFile(config.security.kekFile);
}

/** Nothing that is there is touched: the file may turn up again, and then goes behind the new key. */
async function replaceLost(program: Program, session: Session, json: boolean): Promise<void> {
  const { config, database } = session;
  const { kekCredential, kekFile } = config.security;
  if (kekCredential !== "") {
    throw new UserError(
      EXIT.usage,
      "--lost is for security.kek_file. Put a new key into the credential's source, restart the daemon, then import meters and keys again.",
    );
  }
  if (!isKekMissing(config)) {
    throw new UserError(
      EXIT.usage,
      `--lost: the key-encryption key ${kekFile} is there; nothing was changed.`,
    );
  }
  const lost = await sealedWith(database);
  makeKekFile(kekFile);
  const { kekId } = openKeyRing(config);
  const by = userInfo().username;
  await recordSystemEvents(database, [
    {
      ...{ timeMs: Date.now(), level: "warn", component: "keys", data: { kekId, by, lost } },
      message: "a new key-encryption key was made in place of a lost one",
    },
  ]);
  if (json) return program.print(JSON.stringify({ kekId, lost }));
  const rest =
    lost.length === 0
      ? "Nothing was sealed yet."
      : `${describeSealed(lost)}, and open no more: run \`hes meters import\` and \`hes keys import\` with the files that they came from. ` +
        "Until then what these meters send is refused, and they can't be polled.";
  program.print(`${kekFile} was made, with the key-encryption key ${kekId}: keep a copy of it.\n${rest}`);
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
