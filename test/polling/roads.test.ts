import { networkInterfaces } from "node:os";
import { afterEach, describe, expect, it } from "vitest";
import { ReceivedCounter } from "../../src/dlms/association/protection.ts";
import { parseObis } from "../../src/dlms/cosem/obis-code.ts";
import type { Data } from "../../src/dlms/encoding/data-types.ts";
import { Dialler } from "../../src/polling/dialler.ts";
import type { MeterAssociation } from "../../src/polling/meter-association.ts";
import { type Notification, type RoadSettings, Roads } from "../../src/polling/roads.ts";
import type { MeterAccess } from "../../src/storage/meter-access.ts";
import { EK, hex, SERVER_TITLE } from "../support/associations.ts";
import { type MeterServer, type MeterServerOptions, meterServer } from "../support/meter-server.ts";
import { ACCESS, Counters, KEYS, paper, policies, SETTINGS } from "../support/road-ends.ts";

const CLOCK = { classId: 8, instanceId: parseObis("0.0.1.0.0.255"), attributeId: 2 };
const NAME = { classId: 1, instanceId: parseObis("0.0.42.0.0.255"), attributeId: 2 };
const PROFILE = { classId: 7, instanceId: parseObis("1.0.99.1.0.255"), attributeId: 2 };

const open: MeterServer[] = [];
const associations: MeterAssociation[] = [];
afterEach(async () => {
  await Promise.all(associations.splice(0).map((association) => association.release()));
  await Promise.all(open.splice(0).map((server) => server.close()));
});

async function serve(options: Partial<MeterServerOptions> = {}): Promise<MeterServer> {
  const objects = paper();
  const server = await meterServer({
    framing: "wrapper",
    objects: () => objects,
    policy: policies(),
    ...options,
  });
  open.push(server);
  return server;
}

function roads(
  meters: readonly MeterAccess[],
  more: {
    counters?: Counters;
    notifications?: Notification[];
    settings?: Partial<RoadSettings>;
    learned?: string[];
  } = {},
) {
  return new Roads({
    load: (id, clientSap) => {
      const meter = meters.find((one) => one.id === id);
      return Promise.resolve(
        meter === undefined ? null : clientSap === 16 ? { ...meter, association: null } : meter,
      );
    },
    learn: (type, quirk) => {
      more.learned?.push(`${type} ${quirk}`);
      return Promise.resolve();
    },
    counters: more.counters ?? new Counters(),
    dialler: new Dialler(null, [], 5_000),
    settings: { ...SETTINGS, ...more.settings },
    onNotification: (_, notification) => more.notifications?.push(notification),
  });
}

const at = (server: MeterServer, meter: Partial<MeterAccess> = {}): MeterAccess => ({
  ...ACCESS,
  port: server.port,
  ...meter,
});

async function opened(road: Roads, meter: MeterAccess, clientSap = 48): Promise<MeterAssociation> {
  const association = await road.open(meter.id, { clientSap, purpose: "on-demand" });
  associations.push(association);
  return association;
}

/** Two attributes over a road that stands. */
async function readsOver(
  _: string,
  served: Partial<MeterServerOptions>,
  meter: Partial<MeterAccess>,
): Promise<void> {
  const server = await serve(served);
  const association = await opened(roads([at(server, meter)]), at(server, meter));
  expect(association.meterSystemTitle).toEqual(SERVER_TITLE);
  expect(await association.read([{ attribute: CLOCK }, { attribute: NAME }])).toEqual([
    { kind: "data", value: { type: "octet-string", value: hex("07EA0718FF0A0F1E00FEB600") } },
    { kind: "data", value: { type: "octet-string", value: Buffer.from("METER1") } },
  ]);
}

/** Whether there is a ::1 to listen on. */
const hasIpv6 = Object.values(networkInterfaces()).some((list) =>
  list?.some(({ family }) => family === "IPv6"),
);

describe.skipIf(!hasIpv6)(
  hasIpv6 ? "roads over IPv6" : "roads over IPv6: SKIPPED, this machine has no ::1",
  () => {
    it.each([
      ["wrapper over TCP", { framing: "wrapper" }],
      ["HDLC over TCP", { framing: "hdlc" }],
      ["wrapper over UDP", { framing: "wrapper", transport: "udp" }],
    ] as const)("%s", (what, road) => readsOver(what, { ...road, host: "::1" }, { ...road, host: "::1" }));
  },
);

describe("roads to a meter", () => {
  it.each([
    ["wrapper over TCP", { framing: "wrapper" }, { framing: "wrapper" }],
    ["HDLC over TCP", { framing: "hdlc" }, { framing: "hdlc" }],
    [
      "HDLC over TCP with a physical address",
      { framing: "hdlc" },
      { framing: "hdlc", physicalAddress: 1234 },
    ],
    ["wrapper over UDP", { framing: "wrapper", transport: "udp" }, { framing: "wrapper", transport: "udp" }],
  ] as const)("%s", readsOver);

  it("reads the meter's counter through the public client the first time, goes on above it, and never goes back", async () => {
    const server = await serve();
    const counters = new Counters();
    const meter = at(server);
    const first = await opened(roads([meter], { counters }), meter);
    await first.release();
    expect(server.connections).toBe(2);
    expect(counters.reserved).toBe(5_050);
    expect(counters.highest.get(48)).toBeGreaterThan(0);
    // Another process, after a crash: what was reserved is skipped.
    const second = await opened(roads([meter], { counters }), meter);
    expect(server.connections).toBe(3);
    expect(counters.reserved).toBe(5_100);
    expect((await second.read([{ attribute: CLOCK }]))[0]?.kind).toBe("data");
  });

  it("catches up where the meter has seen higher counters than it tells", async () => {
    const server = await serve({
      policy: policies(new ReceivedCounter(100_000)),
      objects: () =>
        paper().attribute(1, "0.0.43.1.3.255", 2, { type: "double-long-unsigned", value: 100_000 }),
    });
    const counters = new Counters();
    counters.reserved = 20;
    const association = await opened(roads([at(server)], { counters }), at(server));
    expect((await association.read([{ attribute: CLOCK }]))[0]?.kind).toBe("data");
    expect(counters.reserved).toBeGreaterThan(100_000);
  });

  it("takes a new block of counters in the middle of a long answer", async () => {
    const rows: Data = {
      type: "array",
      value: Array.from({ length: 3_000 }, (_, value) => ({ type: "double-long-unsigned", value })),
    };
    const server = await serve({ objects: () => paper().attribute(7, "1.0.99.1.0.255", 2, rows), pdu: 300 });
    const counters = new Counters();
    const meter = at(server);
    const progress: number[] = [];
    const association = await opened(
      roads([meter], { counters, settings: { maxReceivePduSize: 250 } }),
      meter,
    );
    const [outcome] = await association.read([{ attribute: PROFILE }], {
      onProgress: ({ octets }) => progress.push(octets),
    });
    expect(outcome).toEqual({ kind: "data", value: rows });
    expect(progress.length).toBeGreaterThan(50);
    expect(counters.reserved).toBeGreaterThan(5_060);
  });

  it("several meters behind one concentrator: by logical device and by gateway address", async () => {
    const objects = new Map([1, 2].map((sap) => [sap, paper(`METER${sap}`)]));
    const server = await serve({ objects: (sap) => objects.get(sap)!, serverSaps: [1, 2] });
    const meters = [
      at(server),
      at(server, { id: "2", meterNumber: "M2", serverSap: 2 }),
      at(server, {
        id: "3",
        meterNumber: "M3",
        gateway: { networkId: 0, physicalAddress: Buffer.from("0000000012345678") },
      }),
    ];
    const road = roads(meters);
    const names = await Promise.all(
      meters.map(async (meter) => {
        const association = await opened(road, meter);
        const [outcome] = await association.read([{ attribute: NAME }]);
        return outcome?.kind === "data" ? String(outcome.value.value) : outcome;
      }),
    );
    expect(names).toEqual(["METER1", "METER2", "METER1"]);
  });

  it("one association a meter at a time, and people before schedules", async () => {
    const server = await serve();
    const meter = at(server);
    const road = roads([meter]);
    const first = await opened(road, meter);
    const order: string[] = [];
    const later = (["gap", "scheduled", "on-demand"] as const).map(async (purpose) => {
      const association = await road.open(meter.id, { clientSap: 48, purpose });
      order.push(purpose);
      await association.release();
    });
    expect((await first.read([{ attribute: CLOCK }]))[0]?.kind).toBe("data");
    expect(order).toEqual([]);
    await first.release();
    await Promise.all(later);
    expect(order).toEqual(["on-demand", "scheduled", "gap"]);
  });

  it("a notification in the middle of a poll goes to the push line", async () => {
    const push = hex(
      "0F00000001000204090C414243534D3030303030303109060004190900FF090C07EA0718FF0A0F1E00FEB60004818010000000000000000000040000000000",
    );
    const notifications: Notification[] = [];
    for (const framing of ["wrapper", "hdlc"] as const) {
      const meterObjects = paper();
      let server: MeterServer;
      meterObjects.method(9, "0.0.10.0.108.255", 1, () => {
        server.session.push(64, 1, push);
        return { result: "success", value: null };
      });
      server = await serve({ framing, objects: () => meterObjects });
      const meter = at(server, { framing });
      const association = await opened(roads([meter], { notifications }), meter);
      const method = { classId: 9, instanceId: parseObis("0.0.10.0.108.255"), methodId: 1 };
      expect(await association.invoke([{ method, parameters: { type: "long-unsigned", value: 1 } }])).toEqual(
        [{ kind: "done", value: null }],
      );
      await association.release();
      open.pop();
      await server.close();
    }
    expect(notifications.map(({ apdu, framing, destination }) => ({ apdu, framing, destination }))).toEqual([
      { apdu: push, framing: "wrapper", destination: 64 },
      { apdu: push, framing: "hdlc", destination: 64 },
    ]);
  });

  it("says why it comes to nothing", async () => {
    const server = await serve();
    const wrongKey = at(server, {
      keys: KEYS.map((key) => ({ ...key, key: key.kind === "gak" ? EK : key.key })),
    });
    await expect(opened(roads([wrongKey]), wrongKey)).rejects.toMatchObject({
      failure: "association-refused",
    });
    const noKey = at(server, { keys: [] });
    await expect(opened(roads([noKey]), noKey)).rejects.toMatchObject({ failure: "key-missing" });
    const nobody = at(server, { port: 1 });
    await expect(opened(roads([nobody]), nobody)).rejects.toMatchObject({ failure: "unreachable" });
    const listening = at(server, { mode: "listen" });
    await expect(opened(roads([listening]), listening)).rejects.toMatchObject({ failure: "unreachable" });
    const other = at(server, { systemTitle: hex("4142430000000002") });
    await expect(opened(roads([other]), other)).rejects.toMatchObject({ failure: "protocol" });
    await expect(opened(roads([]), listening)).rejects.toMatchObject({ failure: "not-configured" });
  });

  it("ends at once when the caller gives up, and lets the meter go", async () => {
    const server = await serve();
    const meter = at(server);
    const road = roads([meter]);
    const first = await opened(road, meter);
    const controller = new AbortController();
    const waiting = road.open(meter.id, { clientSap: 48, purpose: "gap", signal: controller.signal });
    controller.abort();
    await expect(waiting).rejects.toMatchObject({ failure: "aborted" });
    await first.release();
    await (await opened(road, meter)).release();
  });

  it("HDLC in windows of seven frames: a long answer, and a long request", async () => {
    const objects = paper();
    const server = await serve({ framing: "hdlc", objects: () => objects, window: 7, pdu: 12_000 });
    const meter = at(server, { framing: "hdlc" });
    const road = roads([meter], { settings: { hdlcWindow: 7, maxReceivePduSize: 12_000 } });
    const association = await opened(road, meter);
    const value: Data = { type: "octet-string", value: Buffer.alloc(9_000, "window") };
    // The SNRM that proposed it: 07 04 00000007, 08 04 00000007.
    expect(server.heard.toString("hex")).toContain("070400000007080400000007");
    expect(await association.write([{ attribute: NAME, value }])).toEqual([{ kind: "done" }]);
    expect(await association.read([{ attribute: NAME }])).toEqual([{ kind: "data", value }]);
  });

  it("a month of block load: 2,880 rows of 10 columns", async () => {
    const month: Data = {
      type: "array",
      value: Array.from({ length: 2_880 }, (_, row) => ({
        type: "structure" as const,
        value: [
          { type: "octet-string" as const, value: hex("07EA0718FF0A0F1E00FEB600") },
          ...Array.from({ length: 9 }, (_, column) => ({
            type: "double-long-unsigned" as const,
            value: row * 10 + column,
          })),
        ],
      })),
    };
    const server = await serve({ objects: () => paper().attribute(7, "1.0.99.1.0.255", 2, month) });
    const association = await opened(roads([at(server)]), at(server));
    const started = performance.now();
    const [outcome] = await association.read([{ attribute: PROFILE }]);
    console.info(`a month of block load in ${Math.round(performance.now() - started)} ms`);
    expect(outcome).toEqual({ kind: "data", value: month });
  });
});

it("a connection is given back where no link can be made of what is known of its meter", async () => {
  let givenBack = 0;
  const wire = {
    framing: "hdlc" as const,
    peer: "192.0.2.7",
    ...{ write: () => {}, onData: () => {}, onClose: () => {} },
    close: () => void givenBack++,
  };
  const meter: MeterAccess = { ...ACCESS, mode: "listen", framing: "hdlc", serverSap: 70_000 };
  const road = new Roads({
    load: () => Promise.resolve({ ...meter, association: null }),
    learn: () => Promise.resolve(),
    counters: new Counters(),
    dialler: new Dialler({ lend: () => wire, connectionOf: () => "connection 1" }, [], 5_000),
    settings: SETTINGS,
  });
  const asked = road.open(meter.id, { clientSap: 16, purpose: "on-demand" });
  await expect(asked).rejects.toThrow("HDLC address 70000/null does not fit");
  expect(givenBack).toBe(1);
});
