import { createPrivateKey, createPublicKey, sign } from "node:crypto";
import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import * as wire from "../support/wire.ts";
import { meterOf, Surroundings, vectorOf } from "./surroundings.ts";

const TITLE = "4142430000000001";
const privateKey = createPrivateKey(
  readFileSync(new URL("../support/certificates/meter-key.pem", import.meta.url)),
);

const body = wire.structure(
  wire.text("GB1"),
  wire.obis("0.4.25.9.0.255"),
  wire.clock(2026, 10, 1, 0, 0),
  wire.bits("00".repeat(16)),
);
/** Transaction id, originator, recipient, date-time, other information; then the content with its length. */
const header = `080000000000000001${`08${TITLE}`}000000`;

function signed(signature: (message: Buffer) => Buffer, title = TITLE): Buffer {
  const content = wire.notification(1, body).toString("hex");
  const message = `${header.replace(TITLE, title)}${(content.length / 2).toString(16)}${content}`;
  const octets = signature(Buffer.from(message, "hex"));
  return Buffer.from(
    `df${message}${octets.length.toString(16).padStart(2, "0")}${octets.toString("hex")}`,
    "hex",
  );
}

const right = (message: Buffer) => sign("sha256", message, { key: privateKey, dsaEncoding: "ieee-p1363" });
const wrong = (message: Buffer) => right(Buffer.concat([message, Buffer.from([0])]));

async function receive(
  apdu: Buffer,
  signatureKeys: ReturnType<typeof createPublicKey>[] = [createPublicKey(privateKey)],
) {
  const vector = vectorOf("d1-alert-flat-ae-wrapper-int-dev");
  const meter = meterOf(
    { ...vector, meter: { ...vector.meter, device_id: "GB1", system_title: TITLE } },
    { meterNumber: "GB1", requiredProtection: 0, signatureKeys },
  );
  const around = new Surroundings([], { meters: [meter] });
  around.connect().receive(wire.wrapped(apdu));
  await around.ingest.drain();
  return { stored: around.committed.length, refused: around.refused };
}

it("takes what the meter's certificate proves", async () => {
  expect(await receive(signed(right))).toEqual({ stored: 1, refused: [] });
});

it("refuses a signature that is not the meter's, or over other octets", async () => {
  expect(await receive(signed(wrong))).toEqual({ stored: 0, refused: ["bad_tag"] });
  expect(await receive(signed((message) => right(message).subarray(1)))).toEqual({
    stored: 0,
    refused: ["bad_tag"],
  });
});

it("refuses what another meter has signed", async () => {
  expect(await receive(signed(right, "4142430000000002"))).toEqual({
    stored: 0,
    refused: ["identity_mismatch"],
  });
});

it("looks at no signature where no certificate is known, or nobody has signed", async () => {
  expect(await receive(signed(wrong), [])).toEqual({ stored: 1, refused: [] });
  expect(await receive(signed(() => Buffer.alloc(0)))).toEqual({ stored: 1, refused: [] });
});
