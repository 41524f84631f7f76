import { randomUUID } from "node:crypto";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { parseObis } from "../../src/dlms/cosem/obis-code.ts";
import type { Data } from "../../src/dlms/encoding/data-types.ts";
import { DEFAULT_LIMITS } from "../../src/limits.ts";
import { BorrowedRoads } from "../../src/polling/borrowed-roads.ts";
import { type MeterAssociation, type MeterRoads, PollError } from "../../src/polling/meter-association.ts";
import { openLender } from "../../src/polling/open-lender.ts";
import { openBorrowedAssociations } from "../../src/storage/borrowed-associations.ts";
import { announceDaemon } from "../../src/storage/daemons.ts";
import type { Listener } from "../../src/storage/database.ts";
import { BORROWERS_CHANNEL, openLentAssociations } from "../../src/storage/lent-associations.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";

/* Commands and daemons on a real database; what the meter answers is laid here by hand. */

const CLOCK = { classId: 8, instanceId: parseObis("0.0.1.0.0.255"), attributeId: 2 };
const PROFILE = { classId: 7, instanceId: parseObis("1.0.99.1.0.255"), attributeId: 2 };
const RELAY = { classId: 70, instanceId: parseObis("0.0.96.3.10.255"), methodId: 1 };
const TIME: Data = { type: "octet-string", value: Buffer.from("07ea0718ff0a0f1e00feb600", "hex") };
const ROWS: Data = {
  type: "array",
  value: [{ type: "structure", value: [TIME, { type: "long64-unsigned", value: 2n ** 60n }] }],
};
const LIMITS = { depthMax: DEFAULT_LIMITS.depthMax, elementsMax: DEFAULT_LIMITS.pollElementsMax };

let test: TestDatabase;
let listening: string;
let dialled: string;
const closing: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  test = await createTestDatabase();
  const rows = await test.database.query(
    `INSERT INTO public.meters (meter_number, meter_type, mode, host) VALUES ('L1', 'D1', 'listen', NULL), ('D1', 'D1', 'dial', '127.0.0.1')
     RETURNING id`,
  );
  [listening, dialled] = rows.map((row) => row["id"]) as [string, string];
});
afterAll(() => test.drop());
beforeEach(async () => {
  for (const table of ["poll_tasks", "daemons", "lent_associations"]) {
    await test.database.query(`DELETE FROM ${table}`);
  }
});
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

/** What was asked of a meter, by whom, and whether its association stands. */
class Fake implements MeterRoads {
  readonly asked: unknown[] = [];
  open_ = 0;
  most = 0;
  failure: PollError | null = null;
  hold: Promise<void> = Promise.resolve();

  async open(meterId: string, { clientSap, keys, signal }: Parameters<MeterRoads["open"]>[1]) {
    if (this.failure !== null) throw this.failure;
    this.asked.push(`open ${clientSap} ${keys}`);
    this.open_++;
    this.most = Math.max(this.most, this.open_);
    const held = async () => {
      const aborted = new Promise<never>((_, reject) => {
        signal?.addEventListener("abort", () => reject(new PollError("aborted", "given up")));
      });
      await Promise.race([this.hold, aborted]);
    };
    let stands = true;
    return {
      meterId,
      clientSap,
      conformance: 0x60_1e1d,
      meterSystemTitle: Buffer.from("4142430000000001", "hex"),
      read: async (requests, options) => {
        this.asked.push(requests);
        options?.onProgress?.({ request: 0, octets: 100, blocks: 2 });
        await held();
        return requests.map(({ attribute }) =>
          attribute.classId === 7
            ? { kind: "data", value: ROWS }
            : attribute.classId === 8
              ? { kind: "data", value: TIME }
              : { kind: "refused", result: "object-undefined" },
        );
      },
      write: async (requests) => {
        this.asked.push(requests);
        return requests.map(() => ({ kind: "done" }));
      },
      invoke: async (requests) => {
        this.asked.push(requests);
        return requests.map(() => ({ kind: "done", value: null }));
      },
      release: async () => {
        if (stands) this.open_--;
        stands = false;
      },
    } as MeterAssociation;
  }
}

async function daemon(connected: readonly string[]) {
  const roads = new Fake();
  const id = randomUUID();
  const since = new Map(connected.map((meterId) => [meterId, Date.now()]));
  await announceDaemon(test.database, { id, name: "test" }, since, Date.now());
  const lender = await openLender({
    ...{ database: test.database, daemonId: id, roads, limits: DEFAULT_LIMITS },
    isConnected: (meterId) => connected.includes(meterId),
    onError: (error) => {
      throw error;
    },
  });
  closing.push(() => lender.stop());
  return { id, roads, lender };
}

/** The roads of a command; its own way is another fake. */
async function command() {
  const own = new Fake();
  const roads = new BorrowedRoads({
    borrowed: openBorrowedAssociations(test.database),
    own: openLentAssociations(test.database, randomUUID()),
    roads: own,
    limits: LIMITS,
  });
  const listener: Listener = await test.database.listen(
    BORROWERS_CHANNEL,
    (id) => roads.wake(Number(id)),
    () => roads.wake(null),
  );
  closing.push(() => listener.close());
  return { own, roads };
}

const onDemand = { clientSap: 48, purpose: "on-demand" } as const;
const left = () => test.database.query("SELECT FROM lent_associations");

describe("an association that a daemon lends", () => {
  it("reads, writes and invokes as one of our own, by the daemon that holds the meter's connection", async () => {
    const other = await daemon([]);
    const holder = await daemon([listening]);
    const { roads, own } = await command();
    const association = await roads.open(listening, onDemand);
    expect(association).toMatchObject({ clientSap: 48, conformance: 0x60_1e1d });
    expect(association.meterSystemTitle?.toString("hex")).toBe("4142430000000001");

    const selection = { selector: 1, parameters: { type: "structure", value: [TIME, TIME] } as Data };
    const requests = [
      { attribute: PROFILE, selection },
      { attribute: CLOCK, selection: null },
      { attribute: { ...CLOCK, classId: 3 }, selection: null },
    ];
    expect(await association.read(requests)).toEqual([
      { kind: "data", value: ROWS },
      { kind: "data", value: TIME },
      { kind: "refused", result: "object-undefined" },
    ]);
    const write = { attribute: CLOCK, selection: null, value: TIME };
    expect(await association.write([write])).toEqual([{ kind: "done" }]);
    const invoke = { method: RELAY, parameters: { type: "integer", value: 0 } as Data };
    expect(await association.invoke([invoke, { method: RELAY, parameters: null }])).toEqual([
      { kind: "done", value: null },
      { kind: "done", value: null },
    ]);
    expect(holder.roads.asked).toEqual([
      "open 48 ACTIVE",
      requests,
      [write],
      [invoke, { method: RELAY, parameters: null }],
    ]);
    await association.release();
    expect(holder.roads.open_).toBe(0);
    expect([other.roads.asked, own.asked]).toEqual([[], []]);
    expect(await left()).toEqual([]);
    await expect(association.read(requests)).rejects.toMatchObject({ failure: "connection-lost" });
  });

  it("says why it can't be had", async () => {
    const { roads: meter } = await daemon([listening]);
    const { roads } = await command();
    meter.failure = new PollError("key-missing", "it has no encryption key");
    await expect(roads.open(listening, onDemand)).rejects.toMatchObject({
      failure: "key-missing",
      message: "it has no encryption key",
    });
    expect(await left()).toEqual([]);
  });

  it("is let go when the command gives up in the middle of an answer", async () => {
    const { roads: meter } = await daemon([listening]);
    const { roads } = await command();
    const interrupt = new AbortController();
    const association = await roads.open(listening, { ...onDemand, signal: interrupt.signal });
    meter.hold = new Promise(() => {});
    const reading = association.read([{ attribute: CLOCK }]);
    const failed = expect(reading).rejects.toMatchObject({ failure: "aborted" });
    while (meter.asked.length < 2) await new Promise((resolve) => setTimeout(resolve, 5));
    interrupt.abort();
    await failed;
    await association.release();
    expect(await left()).toEqual([]);
    while (meter.open_ > 0) await new Promise((resolve) => setTimeout(resolve, 5));
  });

  it("breaks where the daemon stops, and a command that died is noticed", async () => {
    const { roads: meter, lender } = await daemon([listening]);
    const { roads } = await command();
    const association = await roads.open(listening, onDemand);
    meter.hold = new Promise(() => {});
    const failed = expect(association.read([{ attribute: CLOCK }])).rejects.toMatchObject({
      failure: "connection-lost",
    });
    while (meter.asked.length < 2) await new Promise((resolve) => setTimeout(resolve, 5));
    await lender.stop();
    await failed;
    expect(meter.open_).toBe(0);

    const second = await daemon([listening]);
    const forgotten = await (await command()).roads.open(listening, onDemand);
    await test.database.query(
      "UPDATE lent_associations SET wanted_until = clock_timestamp() - interval '1 s'",
    );
    await second.lender.tick();
    while (second.roads.open_ > 0) await new Promise((resolve) => setTimeout(resolve, 5));
    await expect(forgotten.read([{ attribute: CLOCK }])).rejects.toMatchObject({
      failure: "connection-lost",
    });
  });

  it("is not to be had of a meter that calls us and hasn't, and our own of one that is called where no daemon lives", async () => {
    const { roads, own } = await command();
    await expect(roads.open(listening, onDemand)).rejects.toMatchObject({
      failure: "unreachable",
      message: "meter L1 calls us, and it is not connected to any daemon now",
    });
    const association = await roads.open(dialled, onDemand);
    expect(await association.read([{ attribute: CLOCK }])).toEqual([{ kind: "data", value: TIME }]);
    expect(own.asked).toHaveLength(2);
    // A daemon that starts now keeps off.
    const late = await daemon([]);
    const waiting = (await command()).roads.open(dialled, onDemand);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(late.roads.asked).toEqual([]);
    await association.release();
    await (await waiting).release();
    expect(late.roads.asked).toEqual(["open 48 ACTIVE"]);
    expect(await left()).toEqual([]);
  });
});

describe("one association a meter at a time", () => {
  it("whatever daemons and commands want of it in the same moment", async () => {
    const [one, two] = [await daemon([]), await daemon([])];
    const meter = new Fake();
    for (const { roads } of [one, two]) roads.open = meter.open.bind(meter);
    const commands = await Promise.all(Array.from({ length: 6 }, () => command()));
    let open = 0;
    await Promise.all(
      commands.map(async ({ roads }) => {
        const association = await roads.open(dialled, onDemand);
        // Within one daemon its own turns keep them apart (roads.test.ts); here the two daemons must not both have it.
        open++;
        const rows = await test.database.query(
          "SELECT count(DISTINCT lender) AS n FROM lent_associations WHERE lender IS NOT NULL",
        );
        expect(rows[0]!["n"]).toBe(1);
        await association.release();
      }),
    );
    expect(open).toBe(6);
  });

  it("waits for a poll that another daemon makes, and polls wait for it", async () => {
    const [list] = await test.database.query("SELECT min(id) AS id FROM push_objects WHERE kind = 'poll'");
    const other = randomUUID();
    const [task] = await test.database.query(
      `INSERT INTO poll_tasks (purpose, meter_id, push_object_id, due_at, start_at, priority, leased_by, leased_until)
       VALUES ('scheduled', $1, $2, now(), now(), 0, $3, clock_timestamp() + interval '1 minute') RETURNING id`,
      [dialled, list!["id"], other],
    );
    const { roads: meter } = await daemon([]);
    const { roads } = await command();
    const opening = roads.open(dialled, onDemand);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(meter.asked).toEqual([]);
    await test.database.query("DELETE FROM poll_tasks WHERE id = $1", [task!["id"]]);
    await (await opening).release();
    expect(meter.asked).toEqual(["open 48 ACTIVE"]);
  });
});
