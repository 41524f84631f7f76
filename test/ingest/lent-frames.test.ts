import { describe, expect, it } from "vitest";
import { HdlcDeframer } from "../../src/dlms/hdlc/deframer.ts";
import { framedPush, LentFrames } from "../../src/ingest/lent-frames.ts";
import { hex } from "../support/associations.ts";
import { pushVectors } from "./surroundings.ts";

/* A UA to client 17 as the Gurux C meter sends it, and a push to client 64 that another implementation framed: UI frames. */
const UA = hex("7EA01E2303737BCF818012050180060180070400000001080400000001533B7E");
const PUSH = hex(pushVectors.find(({ framing }) => framing === "hdlc")!.hex);

function lent(clientSap: number) {
  const toPoll: Buffer[] = [];
  const pushed: Buffer[] = [];
  const frames = new LentFrames({
    ...{ framing: "hdlc", clientSap },
    toPoll: (octets) => toPoll.push(octets),
    toPushes: (octets) => pushed.push(octets),
  });
  return { frames, toPoll, pushed };
}

/** Information fields of the frames that stand in these octets, and how many octets belong to none. */
function framesIn(octets: readonly Buffer[]) {
  const deframer = new HdlcDeframer();
  deframer.push(Buffer.concat(octets));
  const fields: string[] = [];
  let outside = 0;
  for (let next = deframer.next(); next.kind !== "need-more"; next = deframer.next()) {
    if (next.kind === "discarded") outside += next.count;
    else fields.push(next.value.information?.toString("hex") ?? "");
  }
  return { fields, outside };
}

const FIELDS = framesIn([PUSH]).fields;

describe("HDLC frames on a connection that is lent", () => {
  it("go to the poll where they are for its client, and to the pushes else, wherever they are cut", () => {
    // One flag between two frames, whoever they are for.
    const line = Buffer.concat([UA, PUSH.subarray(1), UA.subarray(1), PUSH.subarray(1)]);
    for (let cut = 0; cut <= line.length; cut++) {
      const { frames, toPoll, pushed } = lent(17);
      frames.read(line.subarray(0, cut));
      frames.read(line.subarray(cut));
      frames.end();
      expect(framesIn(toPoll)).toEqual({
        fields: [...Array(2).fill(UA.subarray(8, -3).toString("hex"))],
        outside: 0,
      });
      expect([cut, framesIn(pushed)]).toEqual([cut, { fields: [...FIELDS, ...FIELDS], outside: 0 }]);
    }
  });

  it("are given back with what has begun of one, wherever that is cut", () => {
    for (let cut = 0; cut < PUSH.length; cut++) {
      const { frames, pushed } = lent(17);
      frames.read(Buffer.concat([UA, PUSH.subarray(1, Math.max(1, cut))]));
      frames.end();
      expect([cut, framesIn([...pushed, PUSH.subarray(Math.max(1, cut))])]).toEqual([
        cut,
        { fields: FIELDS, outside: 0 },
      ]);
    }
  });

  it("may begin with the flag that had come before the connection was lent", () => {
    const { frames, pushed } = lent(17);
    frames.read(PUSH.subarray(1));
    expect(framesIn(pushed)).toEqual({ fields: FIELDS, outside: 0 });
  });

  it("of the sort UI are pushes, even to the poll's client", () => {
    const { frames, toPoll, pushed } = lent(64);
    frames.read(PUSH);
    expect(toPoll).toEqual([]);
    expect(framesIn(pushed).fields).toEqual(FIELDS);
  });

  it("leave octets between them to the pushes, in their order and none more or less", () => {
    const noise = hex("0D0A00FF7E41");
    const { frames, toPoll, pushed } = lent(17);
    frames.read(Buffer.concat([noise, UA, noise]));
    frames.read(PUSH);
    frames.end();
    expect(toPoll).toHaveLength(1);
    const octets = Buffer.concat(pushed).toString("hex").replaceAll("7e", "");
    expect(octets).toBe(Buffer.concat([noise, noise, PUSH]).toString("hex").replaceAll("7e", ""));
    expect(framesIn(pushed).fields).toEqual(FIELDS);
  });
});

it("a push that had come in a frame for the poll's client is framed as a push", () => {
  const apdu = hex("0F00000001000204");
  expect(framedPush("wrapper", apdu, 1, 48)).toEqual(hex("00010001003000080F00000001000204"));
  const { fields } = framesIn([framedPush("hdlc", apdu, 1, 48)]);
  expect(fields).toEqual([`e6e700${apdu.toString("hex")}`]);
});
