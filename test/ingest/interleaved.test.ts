import { describe, expect, it } from "vitest";
import * as wire from "../support/wire.ts";
import { meterOf, Surroundings, vectorOf } from "./surroundings.ts";

const vector = vectorOf("d1-alert-flat-ae-wrapper-int-dev");
const MINUTES_OF_DAY = 1_440;

/** Two meters of one model, with keys and titles of their own. */
const meters = [1, 2].map((number) => {
  const title = `4742430000000${number}0${number}`;
  const keys = {
    systemTitle: Buffer.from(title, "hex"),
    guek: Buffer.alloc(16, number),
    gak: Buffer.alloc(16, 0x40 + number),
  };
  const named = { ...vector, meter: { ...vector.meter, device_id: `GB${number}`, system_title: title } };
  const meter = meterOf(
    {
      ...named,
      keys: { guek: keys.guek.toString("hex"), gak: keys.gak.toString("hex"), system_title: title },
    },
    { id: `meter ${number}`, meterNumber: `GB${number}` },
  );
  return { meter, keys };
});

/** An alert; its counter gives the time, so that no two of a meter are of the same minute. */
function alert({ meter, keys }: (typeof meters)[number], counter: number): Buffer {
  const minute = counter % 60;
  const hour = Math.floor(counter / 60) % 24;
  const day = 1 + Math.floor(counter / MINUTES_OF_DAY);
  const body = wire.structure(
    wire.text(meter.meterNumber),
    wire.obis("0.4.25.9.0.255"),
    wire.clock(2026, 10, day, hour, minute),
    wire.bits("00".repeat(16)),
  );
  return wire.ciphered(wire.notification(counter, body), 0x30, counter, keys);
}

/** The same in three blocks of a general-block-transfer: control (80 last, 40 streaming, window 1) · number · acknowledged · octets. */
function inBlocks(apdu: Buffer): Buffer[] {
  const third = Math.ceil(apdu.length / 3);
  return [1, 2, 3].map((number) => {
    const octets = apdu.subarray((number - 1) * third, number * third);
    const head = Buffer.from([0xe0, number === 3 ? 0x81 : 0x41, 0, number, 0, 0, octets.length]);
    return Buffer.concat([head, octets]);
  });
}

/** A push of each meter on one connection: the second meter's is in blocks, between which and inside which those of the first stand. */
function together(counter: number): Buffer {
  const [mine, other] = meters.map((meter) => alert(meter, counter)) as [Buffer, Buffer];
  const [one, two, three] = inBlocks(other).map((block) => wire.wrapped(block, 2)) as [
    Buffer,
    Buffer,
    Buffer,
  ];
  if (counter % 2 === 0) return Buffer.concat([one, wire.wrapped(mine), two, three]);
  return Buffer.concat([
    one,
    ...inBlocks(mine).flatMap((block, index) => [wire.wrapped(block), index === 0 ? two : Buffer.alloc(0)]),
    three,
  ]);
}

/** A sequence that looks random, the same for the same seed. */
function* numbers(seed: number): Generator<number, never> {
  let state = seed;
  for (;;) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fff_ffff;
    yield state >> 8;
  }
}

const countersOf = (around: Surroundings, id: string) =>
  around.committed.filter(({ meterId }) => meterId === id).map(({ counter }) => counter?.counter);

describe("two meters at the same time", () => {
  it("whose pushes come in interleaved halves, ten thousand times: nothing lost, nothing mixed", async () => {
    const PUSHES = 10_000;
    const around = new Surroundings([], { meters: meters.map(({ meter }) => meter) });
    const connections = meters.map((_, index) => around.connect(`192.0.2.${index + 1}`));
    const cuts = numbers(7);
    for (let counter = 1; counter <= PUSHES; counter++) {
      const frames = meters.map((meter) => wire.wrapped(alert(meter, counter)));
      const at = frames.map((frame) => 1 + (cuts.next().value % (frame.length - 1)));
      for (const [index, frame] of frames.entries()) {
        connections[index]!.receive(frame.subarray(0, at[index]));
      }
      for (const [index, frame] of frames.entries()) connections[index]!.receive(frame.subarray(at[index]!));
      // Lets the batches go to the database, as reads from sockets do.
      if (counter % 500 === 0) await around.ingest.settled();
    }
    await around.ingest.drain();
    expect(around.refused).toEqual([]);
    expect(around.discarded).toBe(0);
    const all = Array.from({ length: PUSHES }, (_, index) => index + 1);
    for (const { meter } of meters) expect(countersOf(around, meter.id)).toEqual(all);
  }, 60_000);
});

describe("a whole day", () => {
  const [first] = meters;
  it.each([
    ["a meter in wrapper framing", 288, (counter: number) => wire.wrapped(alert(first!, counter))],
    ["a meter in HDLC", 288, (counter: number) => wire.hdlcInformation(alert(first!, counter), counter % 8)],
    ["two meters on one connection, whole and in blocks", 576, together],
  ])("of %s, cut and merged at random gives the same rows as the clean run", async (_, pushes, traffic) => {
    const day = Array.from({ length: 288 }, (_, index) => traffic(index + 1));
    const rowsOf = async (chunks: Iterable<Buffer>) => {
      const around = new Surroundings([], { meters: meters.map(({ meter }) => meter) });
      const connection = around.connect();
      for (const chunk of chunks) connection.receive(chunk);
      await around.ingest.drain();
      expect(around.refused).toEqual([]);
      return around.committed.map(({ rows }) => rows.map(({ table, cells }) => [table.name, cells]));
    };
    const clean = await rowsOf(day);
    expect(clean).toHaveLength(pushes);
    expect(clean.every((rows) => rows.length > 0)).toBe(true);
    const octets = Buffer.concat(day);
    for (const seed of [1, 2, 3]) {
      const sizes = numbers(seed);
      const chunks: Buffer[] = [];
      for (let from = 0; from < octets.length; ) {
        const to = Math.min(octets.length, from + 1 + (sizes.next().value % 700));
        chunks.push(octets.subarray(from, to));
        from = to;
      }
      expect(await rowsOf(chunks)).toEqual(clean);
    }
  });
});
