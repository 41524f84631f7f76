/*
 * Landis+Gyr ZMF100 by way of an adapter: the tag and the length of a code have changed places, 06 09 in place of 09 06.
 *
 *     02 02|03 · 06 09 · logical name 6, which ends in FF
 */

const STRUCTURE = 0x02;
const OCTET_STRING = 0x09;
const NAME_OCTETS = 6;

/** The body with such tags put right; null where it has none. */
export function withTagsInPlace(body: Buffer): Buffer | null {
  let repaired: Buffer | null = null;
  for (let at = 2; at + 2 + NAME_OCTETS <= body.length; at++) {
    const swapped = body[at] === NAME_OCTETS && body[at + 1] === OCTET_STRING;
    const inPair = body[at - 2] === STRUCTURE && (body[at - 1] === 2 || body[at - 1] === 3);
    if (!swapped || !inPair || body[at + 1 + NAME_OCTETS] !== 0xff) continue;
    repaired ??= Buffer.from(body);
    repaired[at] = OCTET_STRING;
    repaired[at + 1] = NAME_OCTETS;
  }
  return repaired;
}
