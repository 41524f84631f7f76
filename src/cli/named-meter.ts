import { EXIT, UserError } from "../exit.ts";
import type { Database } from "../storage/database.ts";
import { type MeterSummary, showMeter } from "../storage/meters.ts";

/** By number, id, system title or logical device name. `consequence`: what follows for the command, as a sentence. @throws UserError */
export async function namedMeter(database: Database, name: string, consequence = ""): Promise<MeterSummary> {
  const meter = await showMeter(database, name);
  if (meter !== null) return meter;
  const tail = consequence === "" ? "" : ` ${consequence}`;
  throw new UserError(EXIT.data, `There is no meter "${name}": see \`hes meters list\`.${tail}`);
}
