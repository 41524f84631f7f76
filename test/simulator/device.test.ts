import { describe, expect, it } from "vitest";
import { type DeviceModel, deviceOf } from "../../simulator/device/device-model.ts";
import { type DeviceHost, MeterDevice } from "../../simulator/device/meter-device.ts";
import { MeterServer } from "../../simulator/device/meter-server.ts";
import { playedDevice } from "../../simulator/device/played-model.ts";
import { askingAs, attributeRights, methodRights } from "../../simulator/device/rights.ts";
import { TRIAL_CLIENTS, withTrialClients } from "../../simulator/device/trial-clients.ts";
import { protectionKeys } from "../../simulator/envelope.ts";
import { keysCsv, planMeter } from "../../simulator/identity.ts";
import { SimulatedMeter } from "../../simulator/meter.ts";
import { loadModels } from "../../simulator/model.ts";
import { PlannedKeys } from "../../simulator/planned-keys.ts";
import type { PushContent } from "../../simulator/push-body.ts";
import { loadCatalogue } from "../../src/catalogue/catalogue.ts";
import { invoke } from "../../src/dlms/association/client-invoke.ts";
import type { ClientOptions } from "../../src/dlms/association/client-options.ts";
import { read } from "../../src/dlms/association/client-read.ts";
import { write } from "../../src/dlms/association/client-write.ts";
import { ACCESS } from "../../src/dlms/association/meter-objects.ts";
import { ReceivedCounter } from "../../src/dlms/association/protection.ts";
import { Reader } from "../../src/dlms/bytes/reader.ts";
import { modelFromJson } from "../../src/dlms/cosem/meter-model-reader.ts";
import { parseObis } from "../../src/dlms/cosem/obis-code.ts";
import { entriesFromTo, rowsBetween } from "../../src/dlms/cosem/selective-access.ts";
import { readData } from "../../src/dlms/encoding/data.ts";
import type { Data } from "../../src/dlms/encoding/data-types.ts";
import { dateTimeAt } from "../../src/dlms/encoding/date-time.ts";
import { hdlcAddress } from "../../src/dlms/hdlc/address.ts";
import { HdlcClientLink } from "../../src/dlms/hdlc/client-link.ts";
import { WrapperLink } from "../../src/dlms/wrapper/link.ts";
import { Conversation } from "../conversations/line.ts";
import { NO_FAULTS } from "../conversations/pipe.ts";
import { CLIENT_TITLE, counting, hex, LIMITS, secret } from "../support/associations.ts";

const models = loadModels(loadCatalogue());
/** 2026-07-24 10:00:00 in India. */
const START = Date.UTC(2026, 6, 24, 4, 30);
const HOUR = 3_600_000;

function meterOf(hours: number, played: DeviceModel | null = null) {
  const plan = planMeter(7, 0, models.D1, { protection: null, framing: null, layout: "flat" });
  const schedule = { instantSeconds: 900, blockPushSeconds: null, incidentsPerDay: 60, history: false };
  const meter = new SimulatedMeter(7, plan, models.D1, schedule, START);
  const pushed: PushContent[] = [];
  while (meter.dueMs <= START + hours * HOUR) pushed.push(...meter.next());
  const host: DeviceHost & { nowMs: number } = {
    nowMs: START + hours * HOUR,
    now: () => host.nowMs,
    setClock: (epochMs: number) => {
      host.nowMs = epochMs;
    },
    push: (pushes: readonly PushContent[]) => pushed.push(...pushes),
    transferKeys: () => "other-reason",
    counterOf: (clientSap: number) => server.counterOf(clientSap),
    destination: "127.0.0.1:4059",
    pushHabits: { randomisationMs: 0, retries: 3, repetitionMs: 10_000 },
  };
  const model = played ?? deviceOf(models.D1);
  const keys = protectionKeys(plan.keys);
  const server = new MeterServer({
    model,
    device: new MeterDevice(model, meter, host),
    plan,
    keys: () => keys,
    firstCounter: 500,
  });
  return { plan, server, pushed, host, keys, model };
}

type Meter = ReturnType<typeof meterOf>;

function talk(
  { plan, server, keys }: Meter,
  clientSap: 16 | 32 | 48,
  framing: "wrapper" | "hdlc",
  first = 100,
) {
  const mechanism = ({ 16: 0, 32: 1, 48: 2 } as const)[clientSap];
  const ciphered = clientSap !== 16;
  const options: ClientOptions = {
    mechanism,
    secret: ciphered ? secret(plan.keys.secretOf(clientSap)) : null,
    challenge: mechanism === 2 ? Buffer.alloc(16, 7) : null,
    ciphered,
    systemTitle: CLIENT_TITLE,
    security: ciphered
      ? {
          ...{
            suite: 0,
            keys,
            sent: counting(first),
            received: new ReceivedCounter(),
            bits: 0x30,
            required: 0x20,
          },
          ...{ dedicated: null, general: false, meterTitle: plan.systemTitle },
        }
      : null,
    proposedConformance: 0x00_1e1d,
    requiredConformance: 0x10,
    maxReceivePduSize: 300,
    limits: LIMITS,
    bytesMax: 262_144,
    blockWindow: 1,
    responseMs: framing === "wrapper" ? 1_000 : null,
    repeats: 0,
    quirks: new Set(),
  };
  const link =
    framing === "wrapper"
      ? new WrapperLink({ own: clientSap, peer: 1, payloadOctetsMax: 65_535 })
      : new HdlcClientLink({
          client: hdlcAddress(clientSap),
          server: hdlcAddress(1),
          parameters: {
            informationTransmit: 128,
            informationReceive: 128,
            windowTransmit: 1,
            windowReceive: 1,
          },
          ...{ responseMs: 500, retries: 3, pollAgainMs: 100, busyMs: 20_000, apduOctetsMax: 65_536 },
        });
  const conversation = new Conversation(link, options, server.sessionOptions(framing), NO_FAULTS, 1);
  const opened = conversation.open();
  const run = (service: Parameters<Conversation["run"]>[0]) => {
    const event = conversation.run(service);
    if (event.kind !== "done")
      throw new Error(`${event.kind}: ${"error" in event ? event.error.message : ""}`);
    return event.value as { kind: string; value: Data; result: string }[];
  };
  const get = (classId: number, code: string, attributeId: number, selection = null as never | null) =>
    run((means) =>
      read([{ attribute: { classId, instanceId: parseObis(code), attributeId }, selection }], means),
    )[0]!;
  return { opened, run, get };
}

describe("a simulated meter, asked with octets of the fact sheet", () => {
  const meter = meterOf(1);
  const session = meter.server.session("wrapper");
  const ask = (apdu: string) => {
    const octets = hex(apdu);
    session.receive(
      Buffer.concat([hex(`0001 0010 0001 00${octets.length.toString(16).padStart(2, "0")}`), octets]),
      0,
    );
    return session.takeOutput()!.toString("hex");
  };

  it("associates the public client, tells it the time and no more than it may know", () => {
    // AARQ of the Indian public client. The answer: AARE, accepted, conformance 001010 of what was proposed, PDU 750.
    expect(ask("601DA109060760857405080101BE10040E01000000065F1F040000001002EE")).toBe(
      "000100010010" +
        "002b6129a109060760857405080101a203020100a305a103020100be10040e0800065f1f040000001002ee0007",
    );
  });

  it("answers GET of the clock, of an object that isn't there, and of one that the client may not read", () => {
    // 2026-07-24 11:00:00, weekday unspecified, deviation −330.
    expect(ask("C001C100080000010000FF0200").slice(16)).toBe("c401c100090c07ea0718ff0b000000feb600");
    expect(ask("C001C100030100630800FF0200").slice(16)).toBe("c401c10104");
    expect(ask("C001C100030100010800FF0200").slice(16)).toBe("c401c10103");
  });
});

describe.each(["wrapper", "hdlc"] as const)("a simulated meter over %s", (framing) => {
  const meter = meterOf(6);
  const blocks = meter.pushed.filter(({ kind }) => kind === "block");
  /** The columns of a flat push: device id and push setup stand in front of them. */
  const rowOf = ({ body }: PushContent) => (readData(new Reader(body), LIMITS).value as Data[]).slice(2);

  it("gives the rows of its block load profile by range and by entry, as it pushed them", () => {
    const { opened, get } = talk(meter, 32, framing);
    expect(opened.kind).toBe("associated");
    const local = (ms: number) => dateTimeAt(ms, -330, 330);
    const all = get(7, "1.0.99.1.0.255", 2);
    expect(all.value.value).toEqual(blocks.map((push) => ({ type: "structure", value: rowOf(push) })));
    const range = rowsBetween(local(START + HOUR), local(START + 2 * HOUR));
    const some = get(7, "1.0.99.1.0.255", 2, range as never);
    // Both ends belong to it: 11:00, 11:30 and 12:00.
    expect(some.value.value).toEqual(
      blocks.slice(1, 4).map((push) => ({ type: "structure", value: rowOf(push) })),
    );
    const entries = get(7, "1.0.99.1.0.255", 2, entriesFromTo(2, 3) as never);
    expect(entries.value.value).toEqual(
      blocks.slice(1, 3).map((push) => ({ type: "structure", value: rowOf(push) })),
    );
    expect(get(7, "1.0.99.1.0.255", 7).value.value).toBe(blocks.length);
    const columns = get(7, "1.0.99.1.0.255", 3).value.value as Data[];
    expect(columns.length).toBe(models.D1.block.columns.length);
  });

  it("has every object of its list, and lets the meter reader write nothing", () => {
    const { get, run } = talk(meter, 32, framing, 1_000);
    const list = get(15, "0.0.40.0.0.255", 2).value.value as Data[];
    expect(list.length).toBeGreaterThan(90);
    const classes = new Set(list.map((element) => (element.value as Data[])[0]!.value));
    expect([...classes]).toEqual(
      expect.arrayContaining([1, 3, 4, 7, 8, 9, 15, 17, 18, 20, 22, 23, 40, 41, 64, 70, 71]),
    );
    for (const element of list) {
      const [classId, , name, rights] = element.value as [Data, Data, Data, Data];
      const code = [...(name.value as Buffer)].join(".");
      for (const item of (rights.value as Data[])[0]!.value as Data[]) {
        const [index, mode] = item.value as [Data, Data];
        if (((mode.value as number) & 1) === 0) continue;
        const answer = get(classId.value as number, code, index.value as number);
        expect(answer.kind, `${classId.value} ${code} ${index.value}: ${answer.result}`).toBe("data");
      }
    }
    const clock = { classId: 8, instanceId: parseObis("0.0.1.0.0.255"), attributeId: 2 };
    const value = { type: "octet-string", value: hex("07EA0718FF0A0F1E00FEB600") } as const;
    // SET is not among the services of its association.
    expect(run((means) => write([{ attribute: clock, value }], means))[0]!.kind).toBe("rejected");
  });

  it("lets the utility disconnect its load, which leaves an event and a status word", () => {
    const own = meterOf(2);
    const { get, run } = talk(own, 48, framing);
    const method = { classId: 70, instanceId: parseObis("0.0.96.3.10.255"), methodId: 1 };
    expect(get(70, "0.0.96.3.10.255", 2).value).toEqual({ type: "boolean", value: true });
    const parameters = { type: "integer", value: 0 } as const;
    expect(run((means) => invoke([{ method, parameters }], means))[0]!.kind).toBe("done");
    expect(get(70, "0.0.96.3.10.255", 2).value).toEqual({ type: "boolean", value: false });
    expect(own.pushed.slice(-2).map(({ kind, eventCode }) => [kind, eventCode])).toEqual([
      ["alert", null],
      ["event", 301],
    ]);
    const log = get(7, "0.0.99.98.6.255", 2).value.value as Data[];
    expect((log.at(-1)!.value as Data[])[1]!.value).toBe(301);
  });

  it("refuses a wrong password and a wrong secret", () => {
    const wrong = {
      ...meter,
      plan: {
        ...meter.plan,
        // Of another seed.
        keys: new PlannedKeys({
          ...{ seed: 8, meterNumber: meter.plan.meterNumber, suite: 0 },
          ...{ authenticates: true, perClient: false },
        }),
      },
    };
    expect(talk(wrong as Meter, 32, framing, 5_000).opened.kind).toBe("failed");
    expect(talk(wrong as Meter, 48, framing, 5_000).opened.kind).toBe("failed");
  });
});

describe("a meter that was read, played", () => {
  /** As docs/reference/meter-model.md has it: a public client that may read two of three objects, one profile among them. */
  const row = (minute: string, wh: number) => ({
    structure: [{ os: `07ea0718ff0a${minute}0000feb600` }, { "double-long-unsigned": wh }],
  });
  const column = (classId: number, code: string) => ({
    structure: [{ "long-unsigned": classId }, { os: code }, { integer: 2 }, { "long-unsigned": 0 }],
  });
  const model = modelFromJson({
    format: "dlms-hes meter model",
    version: 1,
    read_at: "2026-07-24T04:45:30.000Z",
    meter: {
      meter_number: null,
      meter_type: null,
      manufacturer: null,
      logical_device_name: null,
      system_title: null,
    },
    associations: [
      {
        ...{ client_sap: 16, server_sap: 1, version: 2, conformance: "001014" },
        object_list: [
          {
            class: 7,
            version: 1,
            logical_name: "1.0.99.1.0.255",
            attributes: { 1: 1, 2: 1, 3: 1 },
            methods: { 1: 0 },
          },
          {
            class: 3,
            version: 0,
            logical_name: "1.0.1.8.0.255",
            attributes: { 1: 1, 2: 1, 3: 0 },
            methods: {},
          },
        ],
      },
    ],
    objects: [
      {
        ...{ class: 7, version: 1, logical_name: "1.0.99.1.0.255" },
        attributes: {
          2: { data: { array: [row("00", 1), row("0f", 2), row("1e", 3)] } },
          3: { data: { array: [column(8, "0000010000ff"), column(3, "0100011d00ff")] } },
        },
      },
      {
        ...{ class: 3, version: 0, logical_name: "1.0.1.8.0.255" },
        attributes: {
          2: { data: { "double-long-unsigned": 50000 } },
          3: { data: { structure: [{ integer: 0 }, { enum: 30 }] } },
        },
      },
    ],
  });

  it("answers what stands in its file, to whom the file says", () => {
    const { opened, get } = talk(meterOf(1, playedDevice(model)), 16, "wrapper");
    expect(opened.kind).toBe("associated");
    expect(get(3, "1.0.1.8.0.255", 2).value).toEqual({ type: "double-long-unsigned", value: 50_000 });
    expect(get(3, "1.0.1.8.0.255", 3).result).toBe("read-write-denied");
    expect(get(3, "1.0.2.8.0.255", 2).result).toBe("object-undefined");
    const whs = (answer: { value: Data }) =>
      (answer.value.value as Data[]).map((one) => (one.value as Data[]).at(-1)!.value);
    const at = (minutes: number) => dateTimeAt(START + minutes * 60_000, -330, 330);
    // 10:00, 10:15 and 10:30.
    expect(whs(get(7, "1.0.99.1.0.255", 2))).toEqual([1, 2, 3]);
    expect(whs(get(7, "1.0.99.1.0.255", 2, rowsBetween(at(10), at(30)) as never))).toEqual([2, 3]);
    expect(whs(get(7, "1.0.99.1.0.255", 2, entriesFromTo(2, 2) as never))).toEqual([2]);
  });
});

describe("trial clients of a simulated meter", () => {
  it("are in its files, and do with every mechanism what the utility may", () => {
    const plan = planMeter(7, 0, models.D1, {
      ...{ protection: null, framing: null, layout: "flat" as const },
      ...{ suite: 2 as const, trialClients: true },
    });
    expect(plan.keys.guek).toHaveLength(32);
    const lines = keysCsv([plan]).trim().split("\n");
    expect(lines).toHaveLength(1 + 5 + TRIAL_CLIENTS.length);
    expect(lines).toContain(`${plan.meterNumber},101,hls5,,plain`);
    const model = withTrialClients(deviceOf(models.D1));
    const { associations, objects } = model;
    for (const { clientSap } of TRIAL_CLIENTS) {
      expect(associations.filter((one) => one.clientSap === clientSap)).toHaveLength(1);
      const relay = objects.get("70/0.0.96.3.10.255")!;
      expect(methodRights(relay, 1, askingAs(model, clientSap))).toBe(ACCESS.access);
    }
    // Meters that were read may have clients of these numbers, with rights of their own.
    const attributes = new Map([[3, ACCESS.read]]);
    const relay = objects.get("70/0.0.96.3.10.255")!;
    const read = { ...relay, rights: new Map([[102, { attributes, methods: new Map([[1, 0]]) }]]) };
    const asking = askingAs(model, 102);
    expect([attributeRights(read, 3, asking), attributeRights(read, 4, asking)]).toEqual([ACCESS.read, 0]);
    expect(methodRights(read, 1, asking)).toBe(0);
    expect(associations.map(({ logicalName }) => logicalName)).toHaveLength(
      new Set(associations.map(({ logicalName }) => logicalName)).size,
    );
  });

  it("leave the model's own clients alone", () => {
    const choices = { protection: null, framing: null, layout: null, trialClients: true };
    const plan = planMeter(7, 0, models.IDIS, choices);
    const mechanisms = keysCsv([plan])
      .split("\n")
      .filter((line) => /,(96|102),/.test(line));
    expect(mechanisms.map((line) => line.split(",").slice(1, 3))).toEqual([
      ["102", "none"],
      ["96", "hls6"],
    ]);
    const { associations } = withTrialClients(deviceOf(models.IDIS));
    const of = (sap: number) => associations.filter(({ clientSap }) => clientSap === sap);
    expect(of(102)).toMatchObject([{ preEstablished: true, mechanism: 0 }]);
    expect(of(96)).toMatchObject([{ preEstablished: false, mechanism: 6 }]);
  });
});
