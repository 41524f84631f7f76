import { processEnvironment } from "./config.ts";
import { credentialKek } from "./keys/kek-credential.ts";
import { fileKek, whoReads } from "./keys/kek-file.ts";
import type { KekProvider } from "./keys/kek-provider.ts";
import { KeyRing } from "./keys/key-ring.ts";
import type { Config } from "./settings.ts";

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

/** Opens and seals meters' keys. @throws UserError as `configuredKek` */
export const openKeyRing = (config: Config): KeyRing => new KeyRing(configuredKek(config));
