import { processEnvironment } from "./config.ts";
import { credentialKek } from "./keys/kek-credential.ts";
import { fileKek } from "./keys/kek-file.ts";
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

/** Opens and seals meters' keys. @throws UserError as `configuredKek` */
export const openKeyRing = (config: Config): KeyRing => new KeyRing(configuredKek(config));
