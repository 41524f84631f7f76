import { DecodeError } from "./errors.ts";

/** Lower case, without separators. */
export function toHex(octets: Buffer): string {
  return octets.toString("hex");
}

/**
 * Octets from hexadecimal text. Blanks, line ends, colons, dashes, commas and `0x` are tolerated between octets.
 * Throws DecodeError "invalid", with the offset of the offending character in the text.
 */
export function parseHex(text: string): Buffer {
  const octets = Buffer.allocUnsafe(text.length >>> 1);
  let length = 0;
  let high = -1;
  for (let at = 0; at < text.length; at++) {
    const character = text.charCodeAt(at);
    const digit = digitOf(character);
    if (digit >= 0) {
      if (digit === 0 && high < 0 && (text[at + 1] === "x" || text[at + 1] === "X")) {
        at++;
      } else if (high < 0) {
        high = digit;
      } else {
        octets[length++] = (high << 4) | digit;
        high = -1;
      }
    } else if (!isSeparator(character)) {
      throw new DecodeError(
        "invalid",
        at,
        `${JSON.stringify(text[at])} at position ${at} is not a hexadecimal digit`,
      );
    } else if (high >= 0) {
      throw new DecodeError("invalid", at, `the octet before position ${at} has only one hexadecimal digit`);
    }
  }
  if (high >= 0) throw new DecodeError("invalid", text.length, "an odd number of hexadecimal digits");
  return octets.subarray(0, length);
}

function digitOf(character: number): number {
  if (character >= 0x30 && character <= 0x39) return character - 0x30;
  const lower = character | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}

/** Blank, tab, line feed, carriage return, colon, dash, comma, byte order mark. */
function isSeparator(character: number): boolean {
  return (
    character === 0x20 ||
    (character >= 0x09 && character <= 0x0d) ||
    character === 0x3a ||
    character === 0x2d ||
    character === 0x2c ||
    character === 0xfeff
  );
}
