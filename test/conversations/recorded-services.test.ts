import { describe, expect, it } from "vitest";
import type { Exchange, ServiceMeans } from "../../src/dlms/association/client-exchange.ts";
import { invoke } from "../../src/dlms/association/client-invoke.ts";
import { read } from "../../src/dlms/association/client-read.ts";
import { write } from "../../src/dlms/association/client-write.ts";
import { CONFORMANCE } from "../../src/dlms/association/mechanisms.ts";
import { ApduProtection, ReceivedCounter } from "../../src/dlms/association/protection.ts";
import type { InvokeOutcome, ReadOutcome, WriteOutcome } from "../../src/dlms/association/requests.ts";
import { type Apdu, readApdu, writeApdu } from "../../src/dlms/xdlms/apdu.ts";
import { counting, LIMITS } from "../support/associations.ts";
import { handshake, keysAt, type Message, recordings, type Stream } from "./recordings.ts";

/*
 * What was asked and answered in the recorded conversations, run once more by our client: its requests must be the recorded ones but for
 * invoke-id and priority, and it must make of the recorded answers what they say.
 */

type Outcome = ReadOutcome | WriteOutcome | InvokeOutcome;

/** The services of a conversation in clear, without ACSE and without pass 3 and 4 of HLS. */
function services(stream: Stream): { by: Message["by"]; apdu: Apdu; octets: Buffer }[] {
  const { aarq, aare, ciphered, mechanism } = handshake(stream);
  const { suite, keys } = keysAt(stream.port);
  const titles = {
    client: aarq.callingApTitle ?? Buffer.alloc(8),
    meter: aare.respondingApTitle ?? Buffer.alloc(8),
  };
  const opener = (by: Message["by"]) =>
    new ApduProtection(suite, titles[by === "client" ? "meter" : "client"], titles[by], {
      keys,
      sent: counting(1),
      received: new ReceivedCounter(-1, true),
    });
  const openers = { client: opener("client"), meter: opener("meter") };
  const found: { by: Message["by"]; apdu: Apdu; octets: Buffer }[] = [];
  for (const { by, apdu } of stream.messages) {
    if (apdu[0]! >= 0x60 && apdu[0]! <= 0x64) continue;
    const octets = ciphered ? openers[by].open(apdu).plaintext : apdu;
    found.push({ by, apdu: readApdu(octets, LIMITS), octets: Buffer.from(octets) });
  }
  return mechanism >= 2 ? found.slice(2) : found;
}

/** The exchange of ours that asks what a recorded request asks; null where it is none of the first requests of a service. */
function oursFor(request: Apdu): ((means: ServiceMeans) => Exchange<Outcome[]>) | null {
  if (request.apdu === "get-request" && request.kind === "normal") {
    const { attribute, accessSelection } = request;
    return (means) => read([{ attribute, selection: accessSelection }], means);
  }
  if (request.apdu === "get-request" && request.kind === "with-list") {
    const list = request.attributes.map(({ attribute, accessSelection }) => ({
      attribute,
      selection: accessSelection,
    }));
    return (means) => read(list, means);
  }
  if (request.apdu === "set-request" && request.kind === "normal") {
    const { attribute, accessSelection, value } = request;
    return (means) => write([{ attribute, selection: accessSelection, value }], means);
  }
  if (request.apdu === "action-request" && request.kind === "normal") {
    const { method, parameters } = request;
    return (means) => invoke([{ method, parameters }], means);
  }
  return request.apdu === "access-request" ? byAccess(request) : null;
}

/** Those of one service only, which is what our client puts into one ACCESS. */
function byAccess({
  specifications,
  data,
}: Apdu & { apdu: "access-request" }): ((means: ServiceMeans) => Exchange<Outcome[]>) | null {
  const attributes = specifications.flatMap((one) =>
    one.kind === "get" || one.kind === "set" ? { attribute: one.attribute } : [],
  );
  if (attributes.length < specifications.length || attributes.length < 2) return null;
  const only = (means: ServiceMeans) => ({ ...means, conformance: CONFORMANCE.access });
  if (specifications.every(({ kind }) => kind === "get")) return (means) => read(attributes, only(means));
  if (!specifications.every(({ kind }) => kind === "set")) return null;
  const values = attributes.map((one, at) => ({ ...one, value: data[at]! }));
  return (means) => write(values, only(means));
}

const means = (): ServiceMeans => ({
  conformance: 0xffffff,
  requestOctetsMax: 0xffff,
  limits: LIMITS,
  bytesMax: 1_048_576,
  quirks: new Set(),
  nextInvokeId: () => 0xc1,
  onProgress: () => {},
});

/** Without invoke-id and priority, which are a client's own affair. */
function essence(apdu: Apdu): string {
  const octets = Buffer.from(writeApdu(apdu));
  if (apdu.apdu === "access-request") octets.fill(0, 1, 5);
  else octets[2] = 0;
  return octets.toString("hex");
}

/** Results that stand in the answers to one request, as they were recorded: how many values, how many refusals. */
function told(answers: readonly Apdu[]): { values: number; refusals: number } | null {
  const last = answers.at(-1)!;
  if (last.apdu === "exception-response") return { values: 0, refusals: 1 };
  if (last.apdu === "get-response" && last.kind === "normal") {
    return last.result.kind === "data" ? { values: 1, refusals: 0 } : { values: 0, refusals: 1 };
  }
  if (last.apdu === "get-response" && last.kind === "with-list") {
    const values = last.results.filter(({ kind }) => kind === "data").length;
    return { values, refusals: last.results.length - values };
  }
  if (last.apdu === "access-response") {
    const values = last.results.filter(({ result }) => result === "success").length;
    return { values, refusals: last.results.length - values };
  }
  if (last.apdu === "set-response" && last.kind === "normal")
    return last.result === "success" ? { values: 1, refusals: 0 } : { values: 0, refusals: 1 };
  if (last.apdu === "action-response" && last.kind === "normal")
    return last.result === "success" ? { values: 1, refusals: 0 } : { values: 0, refusals: 1 };
  // Of blocks it shows in the whole only.
  return null;
}

interface Replayed {
  exchanges: number;
  /** By ACCESS among them. */
  accesses: number;
  blocks: number;
  differing: string[];
}

function replay(stream: Stream): Replayed {
  const replayed: Replayed = { exchanges: 0, accesses: 0, blocks: 0, differing: [] };
  const all = services(stream);
  for (let at = 0; at < all.length; ) {
    const { by, apdu, octets } = all[at]!;
    const ours = by === "client" ? oursFor(apdu) : null;
    if (ours === null) {
      at++;
      continue;
    }
    const exchange = ours(means());
    let step = exchange.next(undefined as never);
    const answers: Apdu[] = [];
    while (!step.done) {
      const recorded = all[at];
      // A list was refused: their client did not ask one by one, as ours does.
      if (recorded === undefined && answers.at(-1)?.apdu === "exception-response") break;
      if (recorded === undefined || essence(step.value) !== essence(recorded.apdu)) {
        replayed.differing.push(`${octets.toString("hex")}: ${essence(step.value)}`);
        break;
      }
      const answer = all[at + 1];
      if (answer?.by !== "meter") break;
      answers.push(answer.apdu);
      at += 2;
      step = exchange.next(answer.apdu);
    }
    if (!step.done) {
      at++;
      continue;
    }
    replayed.exchanges++;
    if (apdu.apdu === "access-request") replayed.accesses++;
    replayed.blocks += answers.length - 1;
    const values = step.value.filter(({ kind }) => kind === "data" || kind === "done").length;
    const counted = { values, refusals: step.value.length - values };
    expect(counted, octets.toString("hex")).toEqual(told(answers) ?? { values: 1, refusals: 0 });
  }
  return replayed;
}

describe("services of recorded conversations, run by our client", () => {
  let exchanges = 0;
  let blocks = 0;
  let accesses = 0;

  it.each(recordings)("$name", (stream) => {
    const replayed = replay(stream);
    expect(replayed.differing).toEqual([]);
    exchanges += replayed.exchanges;
    blocks += replayed.blocks;
    accesses += replayed.accesses;
  });

  it("were many, some of them in blocks, some by ACCESS", () => {
    expect(exchanges).toBeGreaterThan(500);
    expect(blocks).toBeGreaterThan(20);
    expect(accesses).toBeGreaterThan(60);
  });
});
