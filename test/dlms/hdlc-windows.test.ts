import { describe, expect, it } from "vitest";
import { hdlcAddress } from "../../src/dlms/hdlc/address.ts";
import { HdlcClientLink } from "../../src/dlms/hdlc/client-link.ts";
import { HdlcDeframer } from "../../src/dlms/hdlc/deframer.ts";
import { writeHdlcFrame } from "../../src/dlms/hdlc/frame.ts";
import { hex } from "../support/associations.ts";

/*
 * Windows of several frames at the client's end. Control octets are written out by hand (IEC 62056-46, 6.4.3): an I frame is
 * N(R) · P/F · N(S) · 0, RR is N(R) · P/F · 0001, RNR N(R) · P/F · 0101; numbers count modulo 8.
 */
const CLIENT = hdlcAddress(16);
const METER = hdlcAddress(1);
const INFORMATION = 20;

/** A client whose link stands, with windows and information fields of 20 octets as this UA says. */
class Client {
  readonly link: HdlcClientLink;
  now = 0;

  constructor(window: number) {
    const sizes = { informationTransmit: INFORMATION, informationReceive: INFORMATION };
    this.link = new HdlcClientLink({
      client: CLIENT,
      server: METER,
      parameters: { ...sizes, windowTransmit: window, windowReceive: window },
      responseMs: 1_000,
      retries: 2,
      pollAgainMs: 100,
      busyMs: 10_000,
      apduOctetsMax: 10_000,
    });
    this.link.connect(0);
    expect(this.controls()).toEqual(["93"]);
    const count = `0000000${window}`;
    this.meter("73", hex(`81 80 12 05 01 14 06 01 14 07 04 ${count} 08 04 ${count}`));
    expect(this.link.takeEvent()).toEqual({ kind: "connected" });
  }

  /** A frame of the meter. */
  meter(control: string, information: Buffer | null = null, segmented = false): void {
    const ends = { destination: CLIENT, source: METER };
    this.link.receive(
      writeHdlcFrame({ ...ends, control: Number.parseInt(control, 16), information, segmented }),
      this.now,
    );
  }

  /** Part `at` of an answer, of which `last` is the last. */
  part(control: string, at: number, last: number): void {
    const llc = at === 0 ? "E6E700" : "";
    this.meter(control, Buffer.concat([hex(llc), Buffer.alloc(INFORMATION - llc.length / 2, at)]), at < last);
  }

  /** Control octets of what it has sent since. */
  controls(): string[] {
    const deframer = new HdlcDeframer();
    for (let out = this.link.takeOutput(); out !== null; out = this.link.takeOutput()) deframer.push(out);
    const controls: string[] = [];
    for (let next = deframer.next(); next.kind === "frame"; next = deframer.next())
      controls.push(next.value.control.toString(16).padStart(2, "0"));
    return controls;
  }

  wait(ms: number): void {
    this.now += ms;
    this.link.handleTimeout(this.now);
  }
}

/** A request of `count` information fields: 3 octets of LLC header are in the first. */
const request = (count: number) => Buffer.alloc(count * INFORMATION - 3, 0xc0);

describe("a request in windows of several frames", () => {
  it("polls with the last frame of a window, and goes on behind what has arrived", () => {
    const client = new Client(4);
    client.link.send(request(6), 0);
    expect(client.controls()).toEqual(["00", "02", "04", "16"]);
    client.meter("91"); // RR, all four have arrived
    expect(client.controls()).toEqual(["08", "1a"]);
  });

  it.each([
    [4, "51", ["04", "06", "08", "1a"]], // 2 and 3 were lost: from 2 on, as many as the window allows
    [5, "11", ["00", "02", "04", "06", "18"]], // nothing has arrived
    [6, "71", ["06", "08", "0a", "0c", "0e", "10"]], // 3 was lost in the middle: go back
    [7, "d1", ["0c", "0e", "00", "02", "14"]], // the last of seven; numbers begin anew after 7
  ] as const)("window %i: sends lost frames again from the first one on (RR %s)", (window, ready, again) => {
    const client = new Client(window);
    client.link.send(request(window === 7 ? 11 : 12), 0);
    expect(client.controls()).toHaveLength(window);
    client.meter(ready);
    // What brought nothing new is asked for again a little later.
    if (ready === "11") client.wait(100);
    expect(client.controls()).toEqual(again);
  });

  it("a poll that was lost is sent again with all that is not acknowledged", () => {
    const client = new Client(7);
    client.link.send(request(7), 0);
    expect(client.controls()).toEqual(["00", "02", "04", "06", "08", "0a", "1c"]);
    client.wait(1_000);
    expect(client.controls()).toEqual(["00", "02", "04", "06", "08", "0a", "1c"]);
    client.meter("f1");
    client.wait(100);
    // Seven of seven are there: what is wanted is the answer.
    expect(client.controls()).toEqual(["11"]);
  });
});

describe("an answer in windows of several frames", () => {
  const asked = (window: number) => {
    const client = new Client(window);
    client.link.send(request(1), 0);
    expect(client.controls()).toEqual(["10"]);
    return client;
  };
  const apdu = (parts: number) => ({
    kind: "apdu",
    source: 1,
    destination: 16,
    unsolicited: false,
    apdu: Buffer.concat(
      Array.from({ length: parts }, (_, at) => Buffer.alloc(INFORMATION - (at === 0 ? 3 : 0), at)),
    ),
  });

  it("is taken frame by frame, acknowledged where the meter gives the word back", () => {
    const client = asked(4);
    client.part("20", 0, 5);
    client.part("22", 1, 5);
    client.part("24", 2, 5);
    expect(client.controls()).toEqual([]);
    client.part("36", 3, 5);
    expect(client.controls()).toEqual(["91"]);
    client.part("28", 4, 5);
    client.part("3a", 5, 5);
    expect(client.link.takeEvent()).toEqual(apdu(6));
  });

  it("with a frame lost in the middle is asked for from there on, and what came behind it is not taken twice", () => {
    const client = asked(7);
    client.part("20", 0, 4);
    client.part("22", 1, 4);
    // 2 is lost.
    client.part("26", 3, 4);
    client.part("38", 4, 4);
    expect(client.link.takeEvent()).toBeNull();
    expect(client.controls()).toEqual(["51"]);
    client.part("24", 2, 4);
    client.part("26", 3, 4);
    client.part("38", 4, 4);
    expect(client.link.takeEvent()).toEqual(apdu(5));
    expect(client.link.takeEvent()).toBeNull();
  });

  it("whose last frame is lost is asked for after a while; a repeated window brings nothing twice", () => {
    const client = asked(5);
    for (const [at, control] of ["20", "22", "24", "26"].entries()) client.part(control, at, 4);
    expect(client.controls()).toEqual([]);
    client.wait(1_000);
    expect(client.controls()).toEqual(["91"]);
    // The meter has not heard of any of them: all once more.
    for (const [at, control] of ["20", "22", "24", "26", "38"].entries()) client.part(control, at, 4);
    expect(client.link.takeEvent()).toEqual(apdu(5));
    expect(client.link.takeEvent()).toBeNull();
  });

  it("of twenty frames in windows of seven, numbers going round", () => {
    const client = asked(7);
    for (let at = 0; at < 20; at++) {
      const final = at % 7 === 6 || at === 19;
      const control = 0x20 | ((at & 7) << 1) | (final ? 0x10 : 0);
      client.part(control.toString(16), at, 19);
      if (final && at < 19) {
        expect(client.controls()).toEqual([((((at + 1) & 7) << 5) | 0x11).toString(16)]);
      }
    }
    expect(client.link.takeEvent()).toEqual(apdu(20));
  });
});
