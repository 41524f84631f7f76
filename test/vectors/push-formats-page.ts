import { type Vector, vectorPages } from "../support/vector-pages.ts";

const HEAD = `# Push formats

What a head-end can be sent, and what it makes of it. Generated from \`test/vectors\`, where each of these examples is a test: run
\`npm test -- --update test/vectors/push-formats.test.ts\` after a change there.

A push is recognised in four steps, and nothing of it has to be configured but keys and, for bodies without names, a list:

1. **Framing** by the first octets of what arrives, and again wherever octets are lost.
2. **Envelope** by the tag of the APDU, layer by layer: blocks, signature, ciphering, at most six layers.
3. **Meter** by the system title of the envelope, by the gateway's header, by logical device name, device identifier or serial number in the body, or by
   the address it calls from. A body that names another meter than the envelope is refused.
4. **Body** by the first layout that fits, in the order below.

What any of these examples is: \`hes decode HEX\` says it, with \`--explain\` octet by octet.`;

/** The pages that make up the reference, in its order. */
const PARTS: readonly (readonly [file: string, heading: string])[] = [
  ["pushes/framing.md", "1. Framing"],
  ["pushes/envelopes.md", "2. Envelope"],
  ["pushes/bodies.md", "3. Body"],
  ["notifications/pushes.md", "Events of Indian meters, and profiles"],
  ["pushes/text.md", "Text"],
  ["tolerated/framing.md", "Tolerated: framing"],
  ["tolerated/bodies.md", "Tolerated: bodies"],
  ["tolerated/lengths.md", "Tolerated: lengths and tags"],
  ["refused/envelopes.md", "Refused: envelopes"],
  ["refused/malformed.md", "Refused: malformed"],
];

/** docs/reference/push-formats.md, from the vectors. A test compares the file with this. */
export function pushFormatsPage(): string {
  const sections = PARTS.flatMap(([file, heading]) => {
    const page = vectorPages.find((one) => one.file === file);
    if (page === undefined) throw new Error(`no page ${file}`);
    return [`## ${heading}`, page.introduction, ...page.vectors.map(exampleOf)];
  });
  return `${[HEAD, ...sections].join("\n\n")}\n`;
}

function exampleOf({ name, why, options, octets, text }: Vector): string {
  const settings = [...options]
    .filter(([option]) => option === "framing")
    .map(([, value]) => `Framing \`${value}\`.`);
  const hex = octets.toString("hex").match(/.{1,96}/g)!;
  return [
    `### ${name}`,
    ...[why, ...settings].filter((line) => line !== ""),
    `\`\`\`\n${hex.join("\n")}\n\`\`\``,
    `\`\`\`\n${text}\n\`\`\``,
  ].join("\n\n");
}
