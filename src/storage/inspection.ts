import { type Finding, wrong } from "../finding.ts";
import { StorageError } from "./storage-error.ts";

/** What is looked at, and the area that its findings are of. */
export type Look = readonly [area: string, look: () => Promise<Finding | readonly Finding[]>];

/**
 * Looks at one thing after the other. What the database refuses to say is a finding as well, and doesn't keep the rest from being looked at.
 */
export async function inspect(looks: readonly Look[]): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const [area, look] of looks) {
    try {
      const found = await look();
      findings.push(...("level" in found ? [found] : found));
    } catch (error) {
      if (!(error instanceof StorageError)) throw error;
      findings.push(wrong(area, `can't be looked at: ${error.message}`, whatToDo(error)));
    }
  }
  return findings;
}

/** By SQLSTATE. */
const REMEDIES: Readonly<Record<string, string>> = {
  "42501": "give the role its rights: `hes migrate` does, see Roles in docs/operating/security.md",
  "55P03": "somebody holds a lock: look at pg_stat_activity and pg_locks, and end what holds it",
  "57014": "it takes too long: look at pg_stat_activity for what keeps the server busy",
  "42P01": "the table was taken away by somebody: bring it back from a backup",
  "42703": "the table was changed by somebody: bring it back from a backup",
};

function whatToDo({ sqlState, retryable }: StorageError): string {
  const known = REMEDIES[sqlState ?? ""];
  if (known !== undefined) return known;
  return retryable ? "the database went away meanwhile: try again" : "look at the server's log";
}

/** What to do about a database that can't be opened. */
export function howToReach(error: unknown): string {
  const { sqlState } = error instanceof StorageError ? error : { sqlState: null };
  if (sqlState === "3D000") return "make it (CREATE DATABASE), or set the right name in database.url";
  if (sqlState !== null && /^28/.test(sqlState)) {
    return "set the user and the password (database.url, database.password) that the server knows, and let pg_hba.conf admit it from here";
  }
  if (sqlState === "53300") return "raise max_connections, or put fewer clients on the server";
  return "start it, and look at the address in database.url and the network in between";
}
