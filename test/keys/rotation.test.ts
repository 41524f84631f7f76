import { createDecipheriv, createSecretKey, type KeyObject } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { parseObis } from "../../src/dlms/cosem/obis-code.ts";
import type { Data } from "../../src/dlms/encoding/data-types.ts";
import { kekProvider, keyEncryptionKey } from "../../src/keys/kek-provider.ts";
import { KeyRing } from "../../src/keys/key-ring.ts";
import { type Rotation, rotateKeys } from "../../src/keys/rotation.ts";
import {
  type InvokeOutcome,
  type InvokeRequest,
  type MeterAssociation,
  type MeterRoads,
  type OpenOptions,
  PollError,
  type PollFailure,
} from "../../src/polling/meter-association.ts";
import { openRotationStore } from "../../src/storage/key-rotation.ts";
import { importMeters } from "../../src/storage/meter-import.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";

/* RFC 3394, 4.1: what a key-encryption key of 128 bits makes of 128 bits of key data. */
const MASTER = "000102030405060708090a0b0c0d0e0f";
const RFC_KEY = "00112233445566778899aabbccddeeff";
const RFC_WRAPPED = "1fa68b0a8112b447aef34bd8fb5a7b829d3e862371d2cfe5";

let test: TestDatabase;
const ring = new KeyRing(kekProvider(keyEncryptionKey(Buffer.alloc(32, 3))));

beforeAll(async () => {
  test = await createTestDatabase();
});
afterAll(() => test.drop());

/** A meter as its security setup sees it. It unwraps with Node's cipher, not with ours. */
class FakeMeter implements MeterRoads {
  readonly id: string;
  readonly invoked: InvokeRequest[] = [];
  readonly opened: string[] = [];
  master = MASTER;
  keys: Record<string, string> = { guek: "11".repeat(16), gak: "22".repeat(16) };
  /** What the answer to a transfer comes to, after or before the meter has taken the keys. */
  onTransfer: "answer" | "lost-after" | "lost-before" | "refuse" = "answer";
  /** Failure of associations to come, in order; null: none. */
  failures: (PollFailure | null)[] = [];
  ciphered = true;
  /** Rows NEW when the transfer arrived. */
  newWhenTransferred = -1;

  constructor(id: string) {
    this.id = id;
  }

  async open(meterId: string, { clientSap, keys }: OpenOptions): Promise<MeterAssociation> {
    const failure = this.failures.shift();
    this.opened.push(`${clientSap} ${keys}`);
    if (failure) throw new PollError(failure, `made to fail: ${failure}`);
    const rows = await keysOf(meterId);
    for (const kind of ["guek", "gak"]) {
      const usable = rows.filter((row) => row.kind === kind);
      const key =
        usable.find(({ state }) => state === keys) ?? usable.find(({ state }) => state === "ACTIVE");
      if (this.ciphered && hexOf(key!.key) !== this.keys[kind]) {
        throw new PollError("timeout", `doesn't answer: not its ${kind}`);
      }
    }
    return this.association(meterId, clientSap);
  }

  private association(meterId: string, clientSap: number): MeterAssociation {
    const never = () => Promise.reject(new Error("not expected"));
    return {
      meterId,
      clientSap,
      conformance: 0,
      meterSystemTitle: this.ciphered ? Buffer.from("4142430000000001", "hex") : null,
      read: never,
      write: never,
      invoke: (requests) => this.invoke(meterId, requests),
      release: async () => {},
    };
  }

  private async invoke(meterId: string, [request]: readonly InvokeRequest[]): Promise<InvokeOutcome[]> {
    this.invoked.push(request!);
    this.newWhenTransferred = (await keysOf(meterId)).filter(({ state }) => state === "NEW").length;
    if (this.onTransfer === "lost-before") throw new PollError("connection-lost", "cut before");
    if (this.onTransfer === "refuse") return [{ kind: "refused", result: "read-write-denied" }];
    const given = new Map<string, string>();
    for (const pair of request!.parameters!.value as Data[]) {
      const [id, wrapped] = pair.value as Data[];
      const key = this.unwrap(wrapped!.value as Buffer);
      if (key === null) return [{ kind: "refused", result: "other-reason" }];
      given.set(["guek", "gbek", "gak", "master"][id!.value as number]!, key);
    }
    for (const [kind, key] of given) {
      if (kind === "master") this.master = key;
      else this.keys[kind] = key;
    }
    if (this.onTransfer === "lost-after") throw new PollError("connection-lost", "cut after");
    return [{ kind: "done", value: null }];
  }

  private unwrap(wrapped: Buffer): string | null {
    const decipher = createDecipheriv(
      "id-aes128-wrap",
      Buffer.from(this.master, "hex"),
      Buffer.alloc(8, 0xa6),
    );
    try {
      return Buffer.concat([decipher.update(wrapped), decipher.final()]).toString("hex");
    } catch {
      return null;
    }
  }
}

const hexOf = (key: KeyObject) => key.export().toString("hex");

async function keysOf(meterId: string) {
  const rows = await test.database.query(
    "SELECT id, kind, state, envelope, system_title FROM meter_keys WHERE meter_id = $1 ORDER BY id",
    [meterId],
  );
  return rows.map((row) => {
    const binding = { meterId, kind: row["kind"], keyId: row["id"], systemTitle: row["system_title"] };
    return {
      kind: row["kind"] as string,
      state: row["state"] as string,
      key: ring.open(row["envelope"], binding),
    };
  });
}

const states = async (meterId: string) =>
  (await keysOf(meterId)).map(({ kind, state }) => `${kind} ${state}`).sort();

let meter: FakeMeter;
beforeEach(async () => {
  await test.database.query("DELETE FROM public.meters");
  const { guek, gak } = new FakeMeter("").keys;
  await importMeters(
    test.database,
    ring,
    `meter_number,meter_type,system_title,guek,gak,master_key\nM1,D1,4142430000000001,${guek},${gak},${MASTER}`,
  );
  const [row] = await test.database.query("SELECT id FROM public.meters");
  meter = new FakeMeter(row!["id"]);
});

const rotation = (changes: Partial<Rotation> = {}): Rotation => ({
  meterId: meter.id,
  kinds: ["guek", "gak"],
  clientSap: null,
  through: 48,
  securitySetup: parseObis("0.0.43.0.0.255"),
  ...changes,
});
const rotate = (changes: Partial<Rotation> = {}) =>
  rotateKeys(rotation(changes), meter, openRotationStore(test.database, ring));

/** That what the meter has is what stands as ACTIVE. */
async function agree() {
  for (const { kind, key } of (await keysOf(meter.id)).filter(({ state }) => state === "ACTIVE")) {
    expect(hexOf(key), kind).toBe(kind === "master" ? meter.master : meter.keys[kind]);
  }
}

const ROTATED = ["gak ACTIVE", "gak EXPIRED", "guek ACTIVE", "guek EXPIRED", "master ACTIVE"];
const UNCHANGED = ["gak ACTIVE", "gak WITHDRAWN", "guek ACTIVE", "guek WITHDRAWN", "master ACTIVE"];
const PENDING = ["gak ACTIVE", "gak NEW", "guek ACTIVE", "guek NEW", "master ACTIVE"];

describe("a rotation", () => {
  it("transfers new keys that are durable, and proves them by an association", async () => {
    const before = { ...meter.keys };
    expect(await rotate()).toEqual({ kind: "rotated" });
    expect(meter.newWhenTransferred).toBe(2);
    expect(meter.keys["guek"]).not.toBe(before["guek"]);
    expect(meter.keys["gak"]).not.toBe(before["gak"]);
    expect(await states(meter.id)).toEqual(ROTATED);
    expect(meter.opened).toEqual(["48 ACTIVE", "48 NEW"]);
    await agree();
    const { method, parameters } = meter.invoked[0]!;
    expect(method).toEqual({ classId: 64, instanceId: parseObis("0.0.43.0.0.255"), methodId: 2 });
    expect(parameters).toMatchObject({
      type: "array",
      value: [
        { type: "structure", value: [{ type: "enum", value: 0 }, { type: "octet-string" }] },
        { type: "structure", value: [{ type: "enum", value: 2 }, { type: "octet-string" }] },
      ],
    });
  });

  it("wraps as RFC 3394 does", async () => {
    const store = openRotationStore(test.database, ring);
    const key = createSecretKey(Buffer.from(RFC_KEY, "hex"));
    const begin: typeof store.begin = async (...parameters) =>
      (await store.begin(...parameters)).map((fresh) => ({ ...fresh, key }));
    await rotateKeys(rotation({ kinds: ["guek"] }), meter, { ...store, begin });
    const [pair] = meter.invoked[0]!.parameters!.value as Data[];
    const [, wrapped] = pair!.value as Data[];
    expect((wrapped!.value as Buffer).toString("hex")).toBe(RFC_WRAPPED);
  });

  it.each([
    ["lost-after", "rotated", ROTATED, ["48 ACTIVE", "48 NEW"]],
    ["lost-before", "unchanged", UNCHANGED, ["48 ACTIVE", "48 NEW", "48 ACTIVE"]],
    ["refuse", "unchanged", UNCHANGED, ["48 ACTIVE"]],
  ] as const)(
    "whose answer is %s ends as the meter has it: %s",
    async (onTransfer, kind, expected, opened) => {
      meter.onTransfer = onTransfer;
      expect(await rotate()).toMatchObject({ kind });
      expect(await states(meter.id)).toEqual(expected);
      expect(meter.opened).toEqual(opened);
      await agree();
    },
  );

  it.each(["lost-after", "lost-before"] as const)(
    "that can't call the meter again (%s) keeps both, and the next one finds out",
    async (onTransfer) => {
      meter.onTransfer = onTransfer;
      meter.failures = [null, "unreachable"];
      expect(await rotate()).toMatchObject({ kind: "unknown" });
      expect(await states(meter.id)).toEqual(PENDING);
      meter.onTransfer = "answer";
      const sent = meter.invoked.length;
      expect(await rotate()).toEqual({ kind: "rotated" });
      // What the meter has taken isn't sent again; what it hasn't is withdrawn, and others are made.
      expect(meter.invoked.length - sent).toBe(onTransfer === "lost-after" ? 0 : 1);
      expect((await states(meter.id)).includes("guek WITHDRAWN")).toBe(onTransfer === "lost-before");
      expect((await states(meter.id)).filter((state) => state.endsWith("NEW"))).toEqual([]);
      await agree();
    },
  );

  it("that is interrupted before it was sent is found out by the next one", async () => {
    await openRotationStore(test.database, ring).begin(meter.id, null, ["guek", "gak"]);
    expect(await states(meter.id)).toEqual(PENDING);
    expect(await rotate()).toEqual({ kind: "rotated" });
    await agree();
  });

  it("says so where neither key works, and keeps both", async () => {
    meter.onTransfer = "lost-after";
    meter.failures = [null, "hls-failed", "timeout"];
    expect(await rotate()).toMatchObject({ kind: "unknown", why: expect.stringContaining("neither works") });
    expect(await states(meter.id)).toEqual(PENDING);
  });

  it("changes nothing where the meter doesn't answer, or has no master key", async () => {
    meter.failures = ["unreachable"];
    expect(await rotate()).toEqual({ kind: "unchanged", why: "made to fail: unreachable" });
    await test.database.query("DELETE FROM meter_keys WHERE kind = 'master'");
    expect(await rotate()).toMatchObject({ why: expect.stringContaining("no master key") });
    expect(await states(meter.id)).toEqual(["gak ACTIVE", "guek ACTIVE"]);
    expect(meter.invoked).toEqual([]);
  });

  it("believes the answer where no association can prove it, and nothing where there is none", async () => {
    meter.ciphered = false;
    expect(await rotate()).toEqual({ kind: "rotated" });
    await agree();
    meter.onTransfer = "lost-after";
    expect(await rotate()).toMatchObject({ kind: "unknown" });
    expect(await rotate()).toMatchObject({ kind: "unknown", why: expect.stringContaining("isn't ciphered") });
  });

  it("of one association proves its keys by that one", async () => {
    await test.database.query("UPDATE meter_keys SET client_sap = 32 WHERE kind <> 'master'");
    expect(await rotate({ clientSap: 32 })).toEqual({ kind: "rotated" });
    expect(meter.opened).toEqual(["48 ACTIVE", "32 NEW"]);
    const rows = await test.database.query(
      "SELECT DISTINCT client_sap FROM meter_keys WHERE kind <> 'master'",
    );
    expect(rows).toEqual([{ client_sap: 32 }]);
  });
});

describe("the master key", () => {
  it("is rotated under itself", async () => {
    expect(await rotate({ kinds: ["master"] })).toEqual({ kind: "rotated" });
    expect(await states(meter.id)).toEqual(["gak ACTIVE", "guek ACTIVE", "master ACTIVE", "master EXPIRED"]);
    await agree();
    expect(await rotate()).toEqual({ kind: "rotated" });
    await agree();
  });

  it.each(["lost-after", "lost-before"] as const)(
    "whose answer is %s is found out by what it wraps",
    async (onTransfer) => {
      meter.onTransfer = onTransfer;
      expect(await rotate({ kinds: ["master"] })).toMatchObject({ kind: "unknown" });
      meter.onTransfer = "answer";
      expect(await rotate()).toEqual({ kind: "rotated" });
      const expected = onTransfer === "lost-after" ? "master EXPIRED" : "master WITHDRAWN";
      expect(await states(meter.id)).toContain(expected);
      await agree();
    },
  );

  it.each(["lost-after", "lost-before"] as const)(
    "whose answer is %s is sent once more",
    async (onTransfer) => {
      meter.onTransfer = onTransfer;
      await rotate({ kinds: ["master"] });
      meter.onTransfer = "answer";
      expect(await rotate({ kinds: ["master"] })).toEqual({ kind: "rotated" });
      expect(await states(meter.id)).toEqual([
        "gak ACTIVE",
        "guek ACTIVE",
        "master ACTIVE",
        "master EXPIRED",
      ]);
      await agree();
    },
  );
});
