import { describe, expect, it } from "vitest";
import { heldBack, Surroundings, vectorOf } from "./surroundings.ts";

// Integers whose scalers are configured for their meter's type, made by another implementation.
const vector = vectorOf("d1-instant-flat-ae-wrapper-int-s1");

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

  it("is put aside where the newest configuration does not explain it either", async () => {
    const around = new Surroundings([], { meters: [], scalersUnread: true });
    around.meters.push(...new Surroundings([vector]).meters);
    await around.send(vector.hex);
    expect(around.renewals).toBe(1);
    expect(around.verdicts).toEqual(["quarantined"]);
    expect(around.committed[0]!.quarantine?.reason).toBe("scaler_unknown");
  });
});
