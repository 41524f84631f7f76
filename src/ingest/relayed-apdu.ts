import type { Data, DataLimits } from "../dlms/encoding/data.ts";
import { apduEnd } from "./apdu-start.ts";

const GENERAL_GLO_CIPHERING = 0xdb;
const GENERAL_CIPHERING = 0xdd;
const SYSTEM_TITLE_OCTETS = 8;
/** Tag, title with its length, length of the content, security header. */
const OCTETS_MIN = 1 + 1 + SYSTEM_TITLE_OCTETS + 1 + 5;
const DEPTH_MAX = 3;

/**
 * The ciphered APDU of another meter that a body carries as an octet-string: gateways push what meters behind them have sent. null where
 * there is none. A view of the body.
 */
export function relayedApdu(body: Data, limits: DataLimits, depth = 0): Buffer | null {
  if (body.type === "octet-string") return isRelayed(body.value, limits) ? body.value : null;
  if ((body.type !== "structure" && body.type !== "array") || depth >= DEPTH_MAX) return null;
  for (const element of body.value) {
    const found = relayedApdu(element, limits, depth + 1);
    if (found !== null) return found;
  }
  return null;
}

function isRelayed(octets: Buffer, limits: DataLimits): boolean {
  if (octets.length < OCTETS_MIN) return false;
  const titled = octets[0] === GENERAL_GLO_CIPHERING && octets[1] === SYSTEM_TITLE_OCTETS;
  if (!titled && octets[0] !== GENERAL_CIPHERING) return false;
  return apduEnd(octets, 0, octets.length, limits) === octets.length;
}
