import { processEnvironment } from "./config.ts";
import { EXIT, UserError } from "./exit.ts";
import { credentialKek } from "./keys/kek-credential.ts";
import { fileKek, isThere, makeKekFile, whoReads } from "./keys/kek-file.ts";
import type { KekProvider } from "./keys/kek-provider.ts";
import { KeyRing } from "./keys/key-ring.ts";
import type { Config } from "./settings.ts";
import type { Database } from "./storage/database.ts";
import { describeSealed, sealedWith } from "./storage/reseal.ts";

/**
 * The key-encryption keys that the configuration names. Another provider is one more line here.
 * @throws UserError where there are none
 */
export function configuredKek({ security }: Config): KekProvider {
  if (security.kekCredential === "") return fileKek(security.kekFile);
  return credentialKek(processEnvironment()["CREDENTIALS_DIRECTORY"], security.kekCredential);
}

/** Of a file that more people can read than should: what is wrong and what to do, for the log. null: nothing is wrong. */
export function kekExposure({ security: { kekCredential, kekFile } }: Config): string | null {
  if (kekCredential !== "" || whoReads(kekFile) !== "others") return null;
  return `others than its owner may read or change the key-encryption key ${kekFile}: chmod 400 ${kekFile}`;
}

/**
 * Opens and seals meters' keys. Where the file of the key-encryption key is missing it does neither until the file is there.
 * @throws UserError as `configuredKek`
 */
export const openKeyRing = (config: Config): KeyRing => new KeyRing(configuredKek(config));

/**
 * Whether the key-encryption key's file is there; of an installation that has sealed nothing yet it is made. Where something is sealed, a new one
 * would open none of it, and what is imported from then on would hide that.
 * @param database as a role that sees all keys and secrets
 * @throws UserError where the file isn't there, and something is sealed
 */
export async function requireKek(config: Config, database: Database): Promise<void> {
  if (!isKekMissing(config)) return;
  const sealed = await sealedWith(database);
  if (sealed.length > 0) throw kekMissing(config, describeSealed(sealed));
  makeKekFile(config.security.kekFile);
}

/** A credential is never made here, and opening it says so where it is missing. */
export const isKekMissing = ({ security: { kekCredential, kekFile } }: Config): boolean =>
  kekCredential === "" && !isThere(kekFile);

/** @param known what is known to be sealed, as a clause */
export function kekMissing({ security: { kekFile } }: Config, known: string): UserError {
  return new UserError(
    EXIT.configuration,
    `The key-encryption key ${kekFile} isn't there (security.kek_file), and ${known}. A new one would open none of that, so none was made. ` +
      "Put the file back from its copy (docs/operating/backup-and-restore.md), or set security.kek_file to where it is. " +
      "Where there is no copy any more: `hes keys rekey --lost`, then import meters and keys again.",
  );
}
