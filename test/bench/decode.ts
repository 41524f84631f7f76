import { createDecipheriv, createSecretKey } from "node:crypto";
import { readFileSync } from "node:fs";
import { unprotectIn } from "../../src/dlms/security/protection.ts";
import { readApdu } from "../../src/dlms/xdlms/apdu.ts";
import { StreamDeframer } from "../../src/ingest/deframer.ts";
import { openEnvelope } from "../../src/ingest/envelope.ts";
import { readNotification } from "../../src/ingest/notification.ts";
import { DEFAULT_LIMITS } from "../../src/limits.ts";
import { CaptureLists } from "../../src/mapping/capture-lists.ts";
import type { CapturedPush } from "../../src/mapping/captured.ts";
import { configureMapping, type ListEntryRecord } from "../../src/mapping/configuration.ts";
import { costs } from "./cost.ts";
import { against, table } from "./report.ts";

/*
 * Decoding, from the octets of a chunk to typed values with their OBIS codes, beside what Node's own AES-GCM takes for the same push.
 * The frames and their keys: test/vectors/other-implementations/README.md.
 */

const ENCRYPTION_KEY = Buffer.from("000102030405060708090A0B0C0D0E0F", "hex");
const AUTHENTICATION_KEY = Buffer.from("D0D1D2D3D4D5D6D7D8D9DADBDCDDDEDF", "hex");
const KEYS = { encryption: createSecretKey(ENCRYPTION_KEY), authentication: AUTHENTICATION_KEY };
const DATA_LIMITS = { depthMax: DEFAULT_LIMITS.depthMax, elementsMax: DEFAULT_LIMITS.pushElementsMax };
const REGISTERS = [32, 52, 72, 31, 51, 71, 33, 53, 73, 13, 14, 9, 1, 3].map((c) => `1.0.${c}.7.0.255`);
const ENERGIES = [1, 5, 8, 9].map((c) => `1.0.${c}.8.0.255`);

/** What the project aims at; the fastest C library known is at 0.33, 3.8, 1.7 and 12.5. */
const AIMS = {
  "bare-plain": 0.35,
  "bare-glo": 1.5,
  "described-plain": 0.7,
  "described-glo": 1.8,
} as const;

type Kind = keyof typeof AIMS;

function frame(name: string): Buffer {
  return readFileSync(new URL(`frames/${name}.bin`, new URL("../../../test/bench/", import.meta.url)));
}

const entry = (classId: number, code: string): ListEntryRecord => ({
  classId,
  code,
  attribute: 2,
  dataIndex: 0,
});

function positionalLists(): CaptureLists {
  const entries = [
    entry(1, "0.0.42.0.0.255"),
    entry(8, "0.0.1.0.0.255"),
    ...[...REGISTERS, ...ENERGIES].map((code) => entry(3, code)),
  ];
  const list = {
    id: null,
    setupId: null,
    name: "bench",
    pushSetup: null,
    meterId: null,
    meterType: "BENCH",
    category: null,
    kind: "instant" as const,
    entries,
  };
  return new CaptureLists(
    configureMapping({ objects: [], lists: [list], meterTypes: [], scalers: [], events: [], statusBits: [] }),
  );
}

/** The whole of it, with the functions that the daemon calls for each push of a connection that stays open. */
function decoder(framing: "wrapper" | "hdlc", octets: Buffer): () => CapturedPush {
  const deframer = new StreamDeframer({ framing: "auto", limits: DEFAULT_LIMITS });
  const decode = apduDecoder();
  return () => {
    deframer.push(octets, 0);
    const received = deframer.next(0);
    if (received.kind !== "frame") throw new Error(`${framing}: ${received.kind}`);
    return decode(received.value.apdu);
  };
}

function apduDecoder(): (apdu: Buffer) => CapturedPush {
  const lists = positionalLists().for({ id: "bench", meterType: "BENCH", category: "BENCH" });
  return (apdu) => {
    const envelope = openEnvelope(apdu, DATA_LIMITS);
    let clear = apdu;
    if (envelope.kind === "ciphered") {
      clear = unprotectIn(envelope.content, envelope.systemTitle!, KEYS).plaintext;
    }
    const { push } = readNotification(clear, lists, DATA_LIMITS);
    if (push.list === null || push.rows[0]!.length < 20)
      throw new Error(push.problem ?? "values are missing");
    return push;
  };
}

/** Node's createDecipheriv alone on the ciphered form: key, IV and AAD ready made. */
function decipher(octets: Buffer): () => Buffer {
  const deframer = new StreamDeframer({ framing: "wrapper", limits: DEFAULT_LIMITS });
  deframer.push(octets, 0);
  const received = deframer.next(0);
  const apdu = received.kind === "frame" ? readApdu(received.value.apdu, DATA_LIMITS) : null;
  if (apdu?.apdu !== "general-glo-ciphering") throw new Error("the frame is not ciphered");
  const iv = Buffer.concat([apdu.systemTitle, apdu.content.subarray(1, 5)]);
  const additional = Buffer.concat([apdu.content.subarray(0, 1), AUTHENTICATION_KEY]);
  const ciphertext = Buffer.from(apdu.content.subarray(5, -12));
  const tag = Buffer.from(apdu.content.subarray(-12));
  return () => {
    const gcm = createDecipheriv("aes-128-gcm", KEYS.encryption, iv, { authTagLength: 12 });
    gcm.setAAD(additional).setAuthTag(tag);
    const plain = gcm.update(ciphertext);
    gcm.final();
    return plain;
  };
}

/** Measures all twelve frames; true where every aim is met in wrapper framing. */
export async function benchDecoding(): Promise<boolean> {
  const kinds = Object.keys(AIMS) as Kind[];
  const work: Record<string, () => unknown> = {};
  for (const layout of ["bare", "described"])
    work[`${layout} AES-GCM`] = decipher(frame(`${layout}-glo-wrapper`));
  for (const kind of kinds) {
    work[`${kind} wrapper`] = decoder("wrapper", frame(`${kind}-wrapper`));
    work[`${kind} hdlc`] = decoder("hdlc", frame(`${kind}-hdlc`));
    const decode = apduDecoder();
    const apdu = frame(`${kind}-apdu`);
    work[`${kind} apdu`] = () => decode(apdu);
  }
  const measured = await costs(work);
  const baseline = (kind: Kind) => measured[`${kind.split("-")[0]} AES-GCM`]!;
  const us = (value: number) => (value / 1000).toFixed(2);
  const ratio = (kind: Kind) => measured[`${kind} wrapper`]!.whole / baseline(kind).whole;
  console.log("Decoding a push of 20 values to typed values with OBIS codes\n");
  console.log("Processor time with the collection of what is left behind, µs (best of the rounds)\n");
  console.log(
    table(
      ["push", "createDecipheriv", "APDU", "wrapper", "HDLC", "wrapper ÷ createDecipheriv"],
      kinds.map((kind) => [
        kind,
        us(baseline(kind).whole),
        ...["apdu", "wrapper", "hdlc"].map((framing) => us(measured[`${kind} ${framing}`]!.whole)),
        against(ratio(kind), AIMS[kind]),
      ]),
    ),
  );
  console.log("\nThe least time of 1,000 calls in which nothing was collected, µs\n");
  console.log(
    table(
      ["push", "createDecipheriv", "APDU", "wrapper", "HDLC", "wrapper ÷ createDecipheriv"],
      kinds.map((kind) => [
        kind,
        us(baseline(kind).least),
        ...["apdu", "wrapper", "hdlc"].map((framing) => us(measured[`${kind} ${framing}`]!.least)),
        (measured[`${kind} wrapper`]!.least / baseline(kind).least).toFixed(2),
      ]),
    ),
  );
  return kinds.every((kind) => ratio(kind) <= AIMS[kind]);
}
