import { DecodeError } from "../dlms/bytes/errors.ts";
import type { ObisCode } from "../dlms/cosem/obis-code.ts";
import { parseObis } from "../dlms/cosem/obis-code.ts";
import { EXIT, UserError } from "../exit.ts";

/** An object as it is named on the command line: CLASS:OBIS/ATTRIBUTE, of which the class and the attribute may be left out. */
export interface NamedObject {
  readonly classId: number | null;
  readonly instanceId: ObisCode;
  readonly attributeId: number;
}

const TEXT =
  /^(?:(\d{1,5}):)?(\d{1,3}[-.]\d{1,3}[:.]\d{1,3}\.\d{1,3}\.\d{1,3}(?:[.*]\d{1,3})?)(?:\/(\d{1,3}))?$/;
const VALUE = 2;
/** An attribute is numbered by an Integer8, a class by an Unsigned16. */
const ATTRIBUTE_MAX = 127;
const CLASS_MAX = 65_535;

/** "1.0.1.8.0.255", "1-0:1.8.0", "7:1.0.99.1.0.255/3". @throws UserError */
export function namedObject(text: string): NamedObject {
  const match = TEXT.exec(text.trim());
  try {
    if (match === null) throw new DecodeError("invalid", 0, "no OBIS code");
    const classId = match[1] === undefined ? null : Number(match[1]);
    const attributeId = match[3] === undefined ? VALUE : Number(match[3]);
    if ((classId ?? 0) > CLASS_MAX || attributeId > ATTRIBUTE_MAX)
      throw new DecodeError("invalid", 0, "too large");
    return { classId, instanceId: parseObis(match[2]!), attributeId };
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    throw new UserError(
      EXIT.usage,
      `${JSON.stringify(text)} is no object: write its OBIS code, as 1.0.1.8.0.255, and where needed class (to ${CLASS_MAX}) and attribute (to ${ATTRIBUTE_MAX}), as 7:1.0.99.1.0.255/3`,
    );
  }
}

/** "2026-07-24", "2026-07-24T10:15", in the meter's own time; null where nothing is said. @throws UserError */
export function localInstant(option: string, text: string | undefined, endOfDay: boolean): number | null {
  if (text === undefined) return null;
  const match = /^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2})?))?$/.exec(text.trim());
  const time = match?.[2] ?? (endOfDay ? "23:59:59" : "00:00:00");
  const ms =
    match === null ? Number.NaN : Date.parse(`${match[1]}T${time.length === 5 ? `${time}:00` : time}Z`);
  if (Number.isNaN(ms)) {
    throw new UserError(
      EXIT.usage,
      `${option} ${JSON.stringify(text)} is no time: 2026-07-24 or 2026-07-24T10:15`,
    );
  }
  return ms;
}
