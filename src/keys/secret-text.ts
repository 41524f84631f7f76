/**
 * Octets of a key or secret as people write it: hex (blanks and colons between are fine), or `text:` and the characters that the maker
 * prints, one octet each.
 * @throws RangeError saying what is wrong with it, without repeating it
 */
export function parseSecret(text: string): Buffer {
  if (text.startsWith("text:")) {
    const characters = text.slice("text:".length);
    if (!/^[\x20-\x7e]+$/.test(characters))
      throw new RangeError("behind text: stand printable ASCII characters");
    return Buffer.from(characters, "latin1");
  }
  const digits = text.replace(/[\s:]|^0x/gi, "");
  if (digits === "" || !/^([0-9a-f]{2})+$/i.test(digits)) {
    throw new RangeError("write pairs of hex digits, or text: and characters");
  }
  return Buffer.from(digits, "hex");
}

/** Octets of a symmetric key of a security suite. */
export const keyOctets = (suite: number) => (suite === 2 ? 32 : 16);
