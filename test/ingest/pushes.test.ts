import { describe, expect, it } from "vitest";
import { cell, meterOf, pushVectors, Surroundings, vectorOf } from "./surroundings.ts";

describe("pushes of another implementation's meters", () => {
  it.each(pushVectors.filter(({ rows }) => rows?.length > 0))("$id is stored", async (vector) => {
    const around = new Surroundings([vector]);
    await around.send(vector.hex);
    expect(around.refused).toEqual([]);
    expect(around.verdicts).toEqual(["applied"]);
    const push = around.committed[0]!;
    expect(push.meterId).toBe(around.meters[0]!.id);
    expect(push.rows.length).toBeGreaterThan(0);
    expect(cell(push.history, "octet_count")).toBe((cell(push.frame, "apdu") as Buffer).length);
  });

  it("come in any pieces and many in one", async () => {
    const vectors = pushVectors.filter(({ framing, rows }) => framing === "wrapper" && rows?.length > 0);
    const around = new Surroundings(vectors);
    const stream = Buffer.from(vectors.map(({ hex }) => hex).join(""), "hex");
    const connection = around.connect();
    for (let at = 0; at < stream.length; at += 97) connection.receive(stream.subarray(at, at + 97));
    await around.ingest.drain();
    expect(around.verdicts).toEqual(vectors.map(() => "applied"));
    // One connection, many meters: in the order in which they were sent.
    expect(around.committed.map(({ meterId }) => meterId)).toEqual(vectors.map((v) => meterOf(v).id));
  });

  it("are found behind a frame that lost its end, when the connection ends before so many octets came", async () => {
    const [small, large] = pushVectors
      .filter(({ framing, rows }) => framing === "hdlc" && rows?.length > 0)
      .map((vector) => ({ vector, octets: Buffer.from(vector.hex, "hex") }))
      .sort((a, b) => a.octets.length - b.octets.length)
      .filter((_, index, all) => index === 0 || index === all.length - 1);
    expect(large!.octets.length).toBeGreaterThan(small!.octets.length + 30);
    const around = new Surroundings([small!.vector]);
    const connection = around.connect();
    connection.receive(large!.octets.subarray(0, 30));
    connection.receive(small!.octets);
    connection.close();
    await around.ingest.drain();
    expect(around.verdicts).toEqual(["applied"]);
  });

  it("are told to have no tag where they were encrypted only", async () => {
    const vector = vectorOf("d1-instant-flat-e-wrapper-int");
    const around = new Surroundings([vector]);
    await around.send(vector.hex);
    const { frame, counter } = around.committed[0]!;
    expect(cell(frame, "verified")).toBe(false);
    expect(cell(frame, "security_control")).toBe(0x20);
    // 20 00003fd5, security control and counter, stand in the vector's octets.
    expect(counter).toMatchObject({
      counter: 0x3fd5,
      name: { keyId: 1, clientSap: 64, systemTitle: "47494e00000001f5" },
    });
  });

  it("say which bits of the status word are new", async () => {
    const vector = vectorOf("d1-alert-flat-ae-wrapper-int-dev");
    const around = new Surroundings([vector]);
    await around.send(vector.hex);
    const word = vector.rows[0]!.find(({ type }) => type === "bits") as unknown as { raw: string };
    const set = [...word.raw].flatMap((digit, index) =>
      [0, 1, 2, 3].filter((bit) => Number.parseInt(digit, 16) & (8 >> bit)).map((bit) => 4 * index + bit),
    );
    expect(set.length).toBeGreaterThan(0);
    expect(around.rows("meter_events").map((row) => [cell(row, "code"), cell(row, "active")])).toEqual(
      set.map((bit) => [bit, true]),
    );
  });
});
