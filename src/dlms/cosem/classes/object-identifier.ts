import type { Data } from "../../encoding/data-types.ts";
import { type DataCodec, dataCodec, wholeNumber } from "./data-codec.ts";

/**
 * An object identifier of DLMS, such as 2.16.756.5.8.1.1 (logical name referencing, no ciphering), as its arcs. It comes as a structure with
 * an element an arc, or as the octets of its BER encoding (60 85 74 05 08 01 01) in an octet-string; it is written as the structure.
 */
export const objectIdentifier: DataCodec<number[]> = dataCodec("object identifier", arcsOf, (arcs) => ({
  type: "structure",
  value: arcs.map((value, index): Data => ({ type: index === 2 ? "long-unsigned" : "unsigned", value })),
}));

function arcsOf(data: Data): number[] | null {
  if (data.type === "structure") {
    const arcs = data.value.map(wholeNumber);
    return arcs.every((arc) => arc !== null) ? arcs : null;
  }
  return data.type === "octet-string" ? berArcs(data.value) : null;
}

/** The first octet holds two arcs; of each further octet seven bits count, and the eighth says that more follow. */
function berArcs(octets: Buffer): number[] | null {
  if (octets.length === 0) return [];
  if (octets.length > 16 || octets[octets.length - 1]! > 0x7f) return null;
  const first = Math.min(Math.floor(octets[0]! / 40), 2);
  const arcs = [first, octets[0]! - first * 40];
  let arc = 0;
  for (const octet of octets.subarray(1)) {
    arc = arc * 128 + (octet & 0x7f);
    if (octet < 0x80) {
      arcs.push(arc);
      arc = 0;
    }
  }
  return arcs;
}
