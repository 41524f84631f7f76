import { ClientAssociation } from "../../src/dlms/association/client.ts";
import { read } from "../../src/dlms/association/client-read.ts";
import type { MeterObjects } from "../../src/dlms/association/meter-objects.ts";
import { ServerAssociation } from "../../src/dlms/association/server.ts";
import { parseObis } from "../../src/dlms/cosem/obis-code.ts";
import type { Target } from "./fuzz.ts";
import { asRecords, LIMITS, records, TITLE } from "./records.ts";

/* Both ends of an association, each against whatever the other may send. Octets of seeds: IEC 62056-5-3 by hand, as in test/dlms. */

const AARQ = "601DA109060760857405080101BE10040E01000000065F1F0400007E1F04B0";
const AARE = "6129A109060760857405080101A203020100A305A103020100BE10040E0800065F1F0400007E1F04000007";
const GET_CLOCK = "C001C100080000010000FF0200";
const GET_WITH_LIST = "C003C1020008000001000 0FF02000003010001080 0FF0200".replaceAll(" ", "");
const SET_CLOCK = "C101C100080000010000FF0200090C07EA0718FF0A0F1E00FEB600";
const ACTION = "C301C100460000600300FF02010F00";
const RLRQ = "6203800100";

const octets = (...hex: string[]) => asRecords(hex.map((each) => Buffer.from(each, "hex")));

/** Everything is there, may be done, and is long enough for blocks. */
const OBJECTS: MeterObjects = {
  attributeAccess: () => 0b11,
  methodAccess: () => 1,
  get: (attribute) =>
    attribute.attributeId % 2 === 0
      ? { kind: "data", value: { type: "octet-string", value: Buffer.alloc(300) } }
      : { kind: "refused", result: "object-undefined" },
  set: () => "success",
  invoke: () => ({ result: "success", value: { type: "unsigned", value: 1 } }),
};

function runServer(input: Buffer): void {
  const server = new ServerAssociation({
    ...{ clientSap: 16, serverSap: 1, systemTitle: TITLE, objects: OBJECTS, limits: LIMITS },
    policy: { mechanism: 0, secret: null, ciphered: false, conformance: 0x7fffff, security: null },
    randomOctets: (count) => Buffer.alloc(count, 7),
    maxReceivePduSize: 128,
    apduOctetsMax: 4_096,
  });
  for (const record of records(input)) {
    server.receive(record);
    while (server.takeOutput() !== null);
    while (server.takeEvent() !== null);
  }
}

const REQUESTS = [
  { attribute: { classId: 8, instanceId: parseObis("0.0.1.0.0.255"), attributeId: 2 } },
  { attribute: { classId: 3, instanceId: parseObis("1.0.1.8.0.255"), attributeId: 2 } },
];

function runClient(input: Buffer): void {
  const client = new ClientAssociation({
    ...{ mechanism: 0, secret: null, challenge: null, ciphered: false, systemTitle: null, security: null },
    ...{ proposedConformance: 0x7fffff, requiredConformance: 0, maxReceivePduSize: 1_200, limits: LIMITS },
    ...{ bytesMax: 4_096, blockWindow: 2, responseMs: 1_000, repeats: 0, quirks: new Set() },
  });
  client.associate(0);
  let now = 0;
  for (const record of records(input)) {
    client.receive(record, ++now);
    while (client.takeOutput() !== null);
    for (let event = client.takeEvent(); event !== null; event = client.takeEvent()) {
      // What it tells of as an error must be one that is declared.
      if (event.kind === "failed" || event.kind === "exchange-failed") declared(event.error);
      if (event.kind === "associated" || event.kind === "done" || event.kind === "exchange-failed") {
        if (client.state === "associated") client.run((means) => read(REQUESTS, means), now);
      }
    }
  }
}

function declared(error: Error): void {
  if (error instanceof TypeError || error instanceof RangeError) throw error;
}

export const ASSOCIATION_TARGETS: readonly Target[] = [
  {
    name: "server",
    seeds: [octets(AARQ, GET_CLOCK, GET_WITH_LIST, RLRQ), octets(AARQ, SET_CLOCK, ACTION, GET_CLOCK)],
    run: runServer,
  },
  {
    name: "client",
    seeds: [
      octets(AARE, "C403C1020009010A000600000001", "C403C102010401"),
      octets(AARE, "C402C10000000001000401020304", "C402C10100000002000401020304", "D80101"),
      octets(AARE, "E0C0000100000BC403C10200090100060000000A", "E004010E0E"),
    ],
    run: runClient,
  },
];
