import { describe, expect, it } from "vitest";
import type { ListRecord } from "../../src/mapping/configuration.ts";
import * as wire from "../support/wire.ts";
import { heldBack, meterOf, Surroundings, vectorOf } from "./surroundings.ts";

// Integers whose scalers are configured for their meter's type, made by another implementation.
const vector = vectorOf("d1-instant-flat-ae-wrapper-int-s1");

const SETUP = "0.9.25.9.0.255";
const entry = (code: string, classId: number) => ({ code, classId, attribute: 2, dataIndex: 0 });
/** A total whose scaler has to be known, and a status word, whose last one is asked for. */
const WITH_WORD: ListRecord = {
  ...{ id: 1, setupId: 1, name: "with a word", pushSetup: SETUP, kind: "instant" },
  ...{ meterId: null, meterType: null, category: null },
  entries: [entry("0.0.1.0.0.255", 8), entry("1.0.1.8.0.255", 3), entry("0.0.94.91.18.255", 1)],
};

function pushWithWord({ systemTitle, meterNumber }: ReturnType<typeof meterOf>): Buffer {
  const values = [wire.clock(2026, 10, 1, 0, 0), wire.u32(12_345), wire.bits("00".repeat(16))];
  const body = wire.structure(wire.text(meterNumber), wire.obis(SETUP), ...values);
  const { guek, gak } = vector.keys!;
  const keys = {
    systemTitle: Buffer.from(systemTitle!, "hex"),
    guek: Buffer.from(guek, "hex"),
    gak: Buffer.from(gak, "hex"),
  };
  return wire.wrapped(wire.ciphered(wire.notification(1, body), 0x30, 1, keys));
}

describe("a push that the daemon's configuration does not explain", () => {
  it("is looked at again with what was imported before it came", async () => {
    const around = new Surroundings([vector], { scalersUnread: true });
    await around.send(vector.hex);
    expect(around.renewals).toBe(1);
    expect(around.verdicts).toEqual(["applied"]);
    expect(around.rows("instant_profile").length).toBe(1);
  });

  it("holds up what its meter sends behind it, and the configuration is read once", async () => {
    const around = new Surroundings([vector], { scalersUnread: true });
    const slow = heldBack();
    around.holdRenewal = slow.promise;
    around.connect().receive(vector.hex);
    around.connect().receive(vector.hex);
    slow.release();
    await around.ingest.drain();
    expect(around.refused).toEqual([]);
    expect(around.renewals).toBe(1);
    expect([...around.verdicts].sort()).toEqual(["applied", "retransmission"]);
  });

  it("is looked at again where an import was read while it waited for something else", async () => {
    const meter = meterOf(vector, { meterType: "T1", securitySuite: 0 });
    const scalers = [{ meterType: "T1", code: "1.0.1.8.0.255", attribute: 2, scaler: 1, unit: "Wh" }];
    const around = new Surroundings([], {
      meters: [meter],
      scalers,
      lists: [WITH_WORD],
      scalersUnread: true,
    });
    // The counter, and the status word that it had last: while that one is looked for, the import is read.
    const word = heldBack();
    around.slowLookUps.push(Promise.resolve(), word.promise);
    around.connect().receive(pushWithWord(meter));
    await expect.poll(() => around.lookUps).toBe(2);
    await around.renew();
    word.release();
    await around.ingest.drain();
    expect(around.verdicts).toEqual(["applied"]);
    expect(around.rows("energy_measurements").length).toBe(1);
  });

  it("is put aside where the newest configuration does not explain it either", async () => {
    const around = new Surroundings([], { meters: [], scalersUnread: true });
    around.meters.push(...new Surroundings([vector]).meters);
    await around.send(vector.hex);
    expect(around.renewals).toBe(1);
    expect(around.verdicts).toEqual(["quarantined"]);
    expect(around.committed[0]!.quarantine?.reason).toBe("scaler_unknown");
  });
});
