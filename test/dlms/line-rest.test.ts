import { expect, it } from "vitest";
import { hdlcAddress } from "../../src/dlms/hdlc/address.ts";
import { HdlcClientLink } from "../../src/dlms/hdlc/client-link.ts";
import { HdlcDeframer } from "../../src/dlms/hdlc/deframer.ts";
import { WrapperLink } from "../../src/dlms/wrapper/link.ts";
import { hex } from "../support/associations.ts";

/*
 * A line that is let go in the midst of a frame: what has come of it goes to whoever has the line next, and makes a whole frame with the rest.
 * An answer over the wrapper of DLMS-FACTS 19.3, and a UA to client 17 as the Gurux C meter sends it.
 */
const ANSWER = hex("00010001002000 12C401C100090C07EA0718FF0A0F1E00FEB600");
const UA = hex("7EA01E2303737BCF818012050180060180070400000001080400000001533B7E");

it("a wrapper PDU", () => {
  for (let cut = 0; cut < ANSWER.length; cut++) {
    const link = new WrapperLink({ own: 32, peer: 1, payloadOctetsMax: 0xffff });
    link.receive(Buffer.concat([ANSWER, ANSWER.subarray(0, cut)]));
    expect(link.takeEvent()).toMatchObject({ kind: "apdu", apdu: ANSWER.subarray(8) });
    expect(link.takeRest()).toEqual(ANSWER.subarray(0, cut));
    // Nothing is kept of it.
    link.receive(ANSWER);
    expect(link.takeEvent()).toMatchObject({ kind: "apdu", apdu: ANSWER.subarray(8) });
    expect(link.takeEvent()).toBeNull();
  }
});

it("an HDLC frame, whose flag may be the one that ended the frame before", () => {
  // Without its closing flag it is whole already.
  for (let cut = 0; cut < UA.length - 1; cut++) {
    const link = new HdlcClientLink({
      ...{ client: hdlcAddress(17), server: hdlcAddress(1, null), responseMs: 1_000, retries: 0 },
      ...{ pollAgainMs: 200, busyMs: 1_000, apduOctetsMax: 1_024 },
      parameters: {
        ...{ informationTransmit: 128, informationReceive: 128, windowTransmit: 1, windowReceive: 1 },
      },
    });
    link.connect(0);
    link.receive(Buffer.concat([UA, UA.subarray(1, Math.max(1, cut))]), 0);
    const next = new HdlcDeframer();
    next.push(link.takeRest());
    expect(next.next()).toEqual({ kind: "need-more" });
    next.push(UA.subarray(Math.max(1, cut)));
    expect([cut, next.next().kind]).toEqual([cut, "frame"]);
  }
});
