import { readFileSync } from "node:fs";
import { join } from "node:path";
import { EXIT, UserError } from "../exit.ts";
import { type KekProvider, parseKeks } from "./kek-provider.ts";

/**
 * Reads the key-encryption keys from a credential that systemd has given to the service (`LoadCredential=`, `LoadCredentialEncrypted=`).
 * It is never made here, and it can't change while the service runs: a rotation adds the new key, and restarts the service before
 * anything is sealed with it.
 * @param directory $CREDENTIALS_DIRECTORY; undefined where the process is no service with credentials
 * @throws UserError where there is no such credential, or it holds something else
 */
export function credentialKek(directory: string | undefined, name: string): KekProvider {
  if (directory === undefined) {
    throw new UserError(
      EXIT.configuration,
      `security.kek_credential is "${name}", and systemd has given this process no credentials. For a command, run it as ` +
        `\`systemd-run --pipe --wait -p LoadCredential=${name}:FILE hes …\`, or name the file with HES_SECURITY__KEK_FILE.`,
    );
  }
  const path = join(directory, name);
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    throw new UserError(
      EXIT.configuration,
      `The systemd credential "${name}" can't be read (${(error as Error).message}): see LoadCredential= of the unit.`,
      { cause: error },
    );
  }
  return parseKeks(text, `The systemd credential "${name}"`);
}
