import type { Change } from "./tree.ts";

/** Mistakes that were made in such code before, each to be found by one target. */
export interface PlantedBug extends Change {
  readonly name: string;
  readonly target: string;
}

export const PLANTED: readonly PlantedBug[] = [
  {
    name: "elements are made before they are counted against the octets left",
    target: "data",
    file: "src/dlms/encoding/data.js",
    find: "claimElements(reader, budget, count, depth, at);\n    const elements",
    replace: "const elements",
  },
  {
    name: "the check of the end is off by one",
    target: "data",
    file: "src/dlms/bytes/reader.js",
    find: "if (count > this.end - start)",
    replace: "if (count > this.end - start + 1)",
  },
  {
    name: "a length of four octets is signed",
    target: "apdu",
    file: "src/dlms/encoding/length.js",
    find: "return reader.unsigned32();",
    replace: "return reader.integer32();",
  },
  {
    name: "the last bits of a bit-string are not passed over",
    target: "data",
    file: "src/dlms/encoding/data.js",
    find: "Math.ceil(readBitLength(reader) / 8)",
    replace: "Math.floor(readBitLength(reader) / 8)",
  },
  {
    name: "arrays in a compact-array are not counted",
    target: "data",
    file: "src/dlms/encoding/compact-array.js",
    find: "claim(budget, description.count, content.offset);",
    replace: "",
  },
  {
    name: "segments that wait are given up a moment too late",
    target: "hdlc",
    file: "src/dlms/hdlc/segments.js",
    find: "sequence.since + this.#apduMs > now",
    replace: "sequence.since + this.#apduMs >= now",
  },
  {
    name: "the limit of an APDU in segments looks at one segment only",
    target: "hdlc",
    file: "src/dlms/hdlc/segments.js",
    find: "this.#octets + information.length > this.#apduOctetsMax",
    replace: "information.length > this.#apduOctetsMax",
  },
  {
    name: "the limit of an APDU in blocks looks at one block only",
    target: "blocks",
    file: "src/dlms/xdlms/block-assembly.js",
    find: "this.#bytes + blockData.length > this.#bytesMax",
    replace: "blockData.length > this.#bytesMax",
  },
  {
    name: "the tag is not checked",
    target: "protection",
    file: "src/dlms/security/protection.js",
    find: "    try {\n        decipher.final();",
    replace: "    try {",
  },
  {
    name: "a field that an association request can't have is looked up all the same",
    target: "acse",
    file: "src/dlms/encoding/ber.js",
    find: "if (field === undefined)",
    replace: "if (false)",
  },
];
