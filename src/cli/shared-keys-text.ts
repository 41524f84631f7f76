import type { SharedKey } from "../storage/shared-keys.ts";

/** Keys named at most; `hes keys list --shared` shows all. */
const SHOWN_MAX = 10;

/** Warnings about keys that several meters have, one a line. */
export function sharedKeyWarnings(shared: readonly SharedKey[]): string[] {
  const shown = shared
    .slice(0, SHOWN_MAX)
    .map(
      ({ kinds, meterCount, meters }) =>
        `Warning: ${meterCount} meters have one ${kinds.replaceAll(" ", " and ")}: ${meters.join(", ")}${meterCount > meters.length ? " …" : ""}`,
    );
  const more = shared.length - shown.length;
  return more > 0 ? [...shown, `Warning: ${more} more keys are shared: \`hes keys list --shared\``] : shown;
}
