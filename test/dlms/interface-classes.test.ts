import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { parseHex, toHex } from "../../src/dlms/bytes/hex.ts";
import { Reader } from "../../src/dlms/bytes/reader.ts";
import { Writer } from "../../src/dlms/bytes/writer.ts";
import { activityCalendar } from "../../src/dlms/cosem/classes/activity-calendar.ts";
import {
  associationLnV0,
  associationLnV2,
  associationLnV3,
} from "../../src/dlms/cosem/classes/association-ln.ts";
import { clock } from "../../src/dlms/cosem/classes/clock.ts";
import { DataMismatch, readExactly } from "../../src/dlms/cosem/classes/data-codec.ts";
import { demandRegister } from "../../src/dlms/cosem/classes/demand-register.ts";
import { disconnectControl } from "../../src/dlms/cosem/classes/disconnect-control.ts";
import { extendedRegister } from "../../src/dlms/cosem/classes/extended-register.ts";
import { gprsModemSetup } from "../../src/dlms/cosem/classes/gprs-modem-setup.ts";
import { iecHdlcSetup } from "../../src/dlms/cosem/classes/iec-hdlc-setup.ts";
import { imageTransfer } from "../../src/dlms/cosem/classes/image-transfer.ts";
import {
  attributeData,
  attributeOf,
  attributeValue,
  type InterfaceClass,
  methodOf,
  type ObjectOf,
  setAttribute,
} from "../../src/dlms/cosem/classes/interface-class.ts";
import {
  INTERFACE_CLASSES,
  interfaceClassOf,
  isTyped,
} from "../../src/dlms/cosem/classes/interface-classes.ts";
import { ipv4Setup } from "../../src/dlms/cosem/classes/ipv4-setup.ts";
import { limiter } from "../../src/dlms/cosem/classes/limiter.ts";
import { mbusClient } from "../../src/dlms/cosem/classes/mbus-client.ts";
import { attributeAccessBits, methodAccessBits } from "../../src/dlms/cosem/classes/object-list.ts";
import { profileGeneric } from "../../src/dlms/cosem/classes/profile-generic.ts";
import { pushSetupV0, pushSetupV1, pushSetupV2 } from "../../src/dlms/cosem/classes/push-setup.ts";
import { register } from "../../src/dlms/cosem/classes/register.ts";
import { registerMonitor } from "../../src/dlms/cosem/classes/register-monitor.ts";
import { sapAssignment } from "../../src/dlms/cosem/classes/sap-assignment.ts";
import { schedule } from "../../src/dlms/cosem/classes/schedule.ts";
import { scriptTable } from "../../src/dlms/cosem/classes/script-table.ts";
import { securitySetup, securitySetupV0 } from "../../src/dlms/cosem/classes/security-setup.ts";
import { singleActionSchedule } from "../../src/dlms/cosem/classes/single-action-schedule.ts";
import { specialDaysTable } from "../../src/dlms/cosem/classes/special-days-table.ts";
import { tcpUdpSetup } from "../../src/dlms/cosem/classes/tcp-udp-setup.ts";
import { parseObis } from "../../src/dlms/cosem/obis-code.ts";
import { type Data, readData, writeData } from "../../src/dlms/encoding/data.ts";
import { UNSPECIFIED } from "../../src/dlms/encoding/date-time.ts";

const decode = (hex: string) => readData(new Reader(parseHex(hex)), { depthMax: 16, elementsMax: 20_000 });
const encode = (data: Data) => {
  const writer = new Writer();
  writeData(writer, data);
  return toHex(writer.finish());
};
const bare = (hex: string) => hex.replaceAll(" ", "");

/** 24 July 2026, 10:15:30, deviation −330: the time of the worked examples. */
const TIME = {
  ...{ year: 2026, month: 7, dayOfMonth: 24, dayOfWeek: null },
  ...{ hour: 10, minute: 15, second: 30, hundredths: 0, deviation: -330, clockStatus: 0 },
};
const TIME_HEX = "090c 07ea0718ff0a0f1e00feb600";

type Sample = readonly [
  what: string,
  one: InterfaceClass,
  index: number,
  key: string,
  hex: string,
  value: unknown,
];

/**
 * Octets laid out by hand after the types of the Blue Book (DLMS-FACTS 13 and 15.2), or taken from its worked exchanges (19.3) where that is
 * said. Each is read into the value and written back as the very octets.
 */
const SAMPLES: readonly Sample[] = [
  ["the clock as set in 19.3", clock, 2, "time", TIME_HEX, TIME],
  ["UTC+1", clock, 3, "timeZone", "10 ffc4", -60],
  ["winter time", clock, 8, "daylightSavingsEnabled", "03 00", false],
  ["a crystal", clock, 9, "clockBase", "16 01", "internal-crystal"],
  ["a maker's own clock base", clock, 9, "clockBase", "16 09", 9],
  ["hundredths of kWh", register, 3, "scalerUnit", "0202 0f01 161e", { scaler: 1, unit: 30 }],
  ["time of a maximum demand", extendedRegister, 5, "captureTime", TIME_HEX, TIME],
  ["half an hour", demandRegister, 8, "period", "06 00000708", 1800],
  ["two periods", demandRegister, 9, "numberOfPeriods", "12 0002", 2],
  ["fifo", profileGeneric, 5, "sortMethod", "16 01", "fifo"],
  [
    "a profile sorted by the clock",
    profileGeneric,
    6,
    "sortObject",
    "0204 120008 0906 0000010000ff 0f02 120000",
    { classId: 8, logicalName: parseObis("0.0.1.0.0.255"), attributeIndex: 2, dataIndex: 0 },
  ],
  [
    "the push schedule of 19.3: 00:00 and 00:15 every day",
    singleActionSchedule,
    4,
    "executionTime",
    "0102 0202 0904 00000000 0905 ffffffffff 0202 0904 000f0000 0905 ffffffffff",
    [0, 15].map((minute) => ({
      time: { ...UNSPECIFIED, hour: 0, minute, second: 0, hundredths: 0 },
      date: UNSPECIFIED,
    })),
  ],
  [
    "the push script with selector 4",
    singleActionSchedule,
    2,
    "executedScript",
    "0202 0906 00000a006cff 120004",
    { scriptLogicalName: parseObis("0.0.10.0.108.255"), scriptSelector: 4 },
  ],
  ["several times, wildcards", singleActionSchedule, 3, "type", "16 05", "different-times-wildcards"],
  [
    "the push destination of 19.3",
    pushSetupV0,
    3,
    "sendDestinationAndMethod",
    "0203 1600 090d 31302e302e302e353a34303539 1600",
    { transportService: "tcp", destination: Buffer.from("10.0.0.5:4059"), message: "a-xdr" },
  ],
  [
    "a list of version 0",
    pushSetupV0,
    2,
    "pushObjectList",
    "0101 0204 120028 0906 0004190900ff 0f01 120000",
    [
      {
        ...{ classId: 40, logicalName: parseObis("0.4.25.9.0.255"), attributeIndex: 1, dataIndex: 0 },
        ...{ restriction: null, columns: null },
      },
    ],
  ],
  ["version 1's client", pushSetupV1, 9, "pushClientSap", "0f 40", 64],
  [
    "delays of version 2",
    pushSetupV2,
    7,
    "repetitionDelay",
    "0203 12003c 120064 120e10",
    { repetitionDelayMin: 60, repetitionDelayExponent: 100, repetitionDelayMax: 3600 },
  ],
  [
    "confirmed pushes",
    pushSetupV2,
    11,
    "pushOperationMethod",
    "16 02",
    "confirmed-retry-on-missing-confirmation",
  ],
  [
    "a script that opens the relay",
    scriptTable,
    2,
    "scripts",
    "0101 0202 120001 0101 0205 1602 120046 0906 000060030aff 0f01 0f00",
    [
      {
        scriptIdentifier: 1,
        actions: [
          {
            ...{ serviceId: "execute-method", classId: 70, logicalName: parseObis("0.0.96.3.10.255") },
            ...{ index: 1, parameter: { type: "integer", value: 0 } },
          },
        ],
      },
    ],
  ],
  [
    "a schedule on workdays",
    schedule,
    2,
    "entries",
    "0101 020a 120001 0301 0906 00000a0064ff 120001 0904 06000000 12ffff 0407f8 0400 0905 ffff0101ff 0905 ffff0c1fff",
    [
      {
        ...{ index: 1, enable: true, scriptLogicalName: parseObis("0.0.10.0.100.255"), scriptSelector: 1 },
        ...{
          switchTime: { ...UNSPECIFIED, hour: 6, minute: 0, second: 0, hundredths: 0 },
          validityWindow: 65535,
        },
        execWeekdays: { length: 7, octets: Buffer.from([0xf8]) },
        execSpecdays: { length: 0, octets: Buffer.alloc(0) },
        beginDate: { ...UNSPECIFIED, month: 1, dayOfMonth: 1 },
        endDate: { ...UNSPECIFIED, month: 12, dayOfMonth: 31 },
      },
    ],
  ],
  [
    "the 26th of January of every year",
    specialDaysTable,
    2,
    "entries",
    "0101 0203 120001 0905 ffff011aff 1102",
    [{ index: 1, specialDayDate: { ...UNSPECIFIED, month: 1, dayOfMonth: 26 }, dayId: 2 }],
  ],
  [
    "a management logical device",
    sapAssignment,
    2,
    "sapAssignmentList",
    "0101 0202 120001 0903 484553",
    [{ sap: 1, logicalDeviceName: "HES" }],
  ],
  ["blocks of 128", imageTransfer, 2, "imageBlockSize", "06 00000080", 128],
  ["verified", imageTransfer, 6, "imageTransferStatus", "16 03", "verification-successful"],
  [
    "an image to activate",
    imageTransfer,
    7,
    "imageToActivateInfo",
    "0101 0203 06 00001000 0907 46575f312e3031 0900",
    [
      {
        imageToActivateSize: 4096,
        imageToActivateIdentification: Buffer.from("FW_1.01"),
        imageToActivateSignature: Buffer.alloc(0),
      },
    ],
  ],
  [
    "one season from January",
    activityCalendar,
    3,
    "seasonProfileActive",
    "0101 0203 0901 31 090c ffff0101ffffffffff8000ff 0901 57",
    [
      {
        seasonProfileName: Buffer.from("1"),
        seasonStart: { ...UNSPECIFIED, month: 1, dayOfMonth: 1 },
        weekName: Buffer.from("W"),
      },
    ],
  ],
  [
    "a week with another Sunday",
    activityCalendar,
    8,
    "weekProfileTablePassive",
    "0101 0208 0901 57 1101 1101 1101 1101 1101 1101 1102",
    [
      {
        weekProfileName: Buffer.from("W"),
        ...{ monday: 1, tuesday: 1, wednesday: 1, thursday: 1, friday: 1, saturday: 1, sunday: 2 },
      },
    ],
  ],
  [
    "a day with a zone from 18:00",
    activityCalendar,
    9,
    "dayProfileTablePassive",
    "0101 0202 1101 0101 0203 0904 12000000 0906 00000a0064ff 120002",
    [
      {
        dayId: 1,
        daySchedule: [
          {
            startTime: { ...UNSPECIFIED, hour: 18, minute: 0, second: 0, hundredths: 0 },
            scriptLogicalName: parseObis("0.0.10.0.100.255"),
            scriptSelector: 2,
          },
        ],
      },
    ],
  ],
  [
    "active power is watched",
    registerMonitor,
    3,
    "monitoredValue",
    "0203 120003 0906 0100010700ff 0f02",
    { classId: 3, logicalName: parseObis("1.0.1.7.0.255"), attributeIndex: 2 },
  ],
  ["9600 baud", iecHdlcSetup, 2, "commSpeed", "16 05", "9600"],
  ["128 octets", iecHdlcSetup, 5, "maxInfoFieldLengthTransmit", "12 0080", 128],
  ["the registered port", tcpUdpSetup, 2, "tcpUdpPort", "12 0fdb", 4059],
  ["an address", ipv4Setup, 3, "ipAddress", "06 0a000005", 0x0a000005],
  ["DHCP", ipv4Setup, 8, "useDhcpFlag", "03 01", true],
  ["an access point", gprsModemSetup, 2, "apn", "0903 6d326d", "m2m"],
  [
    "quality of service",
    gprsModemSetup,
    4,
    "qualityOfService",
    "0202 0205 1101 1102 1103 1104 1105 0205 1100 1100 1100 1100 1100",
    {
      defaultQos: { precedence: 1, delay: 2, reliability: 3, peakThroughput: 4, meanThroughput: 5 },
      requestedQos: { precedence: 0, delay: 0, reliability: 0, peakThroughput: 0, meanThroughput: 0 },
    },
  ],
  ["everything ciphered", securitySetupV0, 2, "securityPolicy", "16 03", "authenticated-and-encrypted"],
  ["requests authenticated and encrypted", securitySetup, 2, "securityPolicy", "16 0c", 0x0c],
  [
    "a certificate",
    securitySetup,
    6,
    "certificates",
    "0101 0206 1600 1601 0901 07 0902 4341 0910 34313432343330303030303030303031 0900",
    [
      {
        ...{ certificateEntity: "server", certificateType: "key-agreement", serialNumber: Buffer.from([7]) },
        ...{ issuer: "CA", subject: "4142430000000001", subjectAltName: "" },
      },
    ],
  ],
  ["ready for reconnection", disconnectControl, 3, "controlState", "16 02", "ready-for-reconnection"],
  ["a closed relay", disconnectControl, 2, "outputState", "03 01", true],
  ["mode 4", disconnectControl, 4, "controlMode", "16 04", 4],
  ["5 kW", limiter, 4, "thresholdNormal", "06 00001388", { type: "double-long-unsigned", value: 5000 }],
  [
    "open over the limit, close under it (IS 15959)",
    limiter,
    11,
    "actions",
    "0202 0202 0906 00000a0080ff 120001 0202 0906 00000a0080ff 120002",
    {
      actionOverThreshold: { scriptLogicalName: parseObis("0.0.10.0.128.255"), scriptSelector: 1 },
      actionUnderThreshold: { scriptLogicalName: parseObis("0.0.10.0.128.255"), scriptSelector: 2 },
    },
  ],
  [
    "an emergency",
    limiter,
    8,
    "emergencyProfile",
    `0203 120001 ${TIME_HEX} 06 00000e10`,
    { emergencyProfileId: 1, emergencyActivationTime: TIME, emergencyDuration: 3600 },
  ],
  ["a gas meter", mbusClient, 9, "deviceType", "11 03", 3],
  [
    "what is read of it",
    mbusClient,
    3,
    "captureDefinition",
    "0101 0202 0901 0c 0901 13",
    [{ dataInformationBlock: Buffer.from([0x0c]), valueInformationBlock: Buffer.from([0x13]) }],
  ],
  [
    "who is associated",
    associationLnV2,
    3,
    "associatedPartnersId",
    "0202 0f30 120001",
    { clientSap: 48, serverSap: 1 },
  ],
  [
    "context LN with ciphering",
    associationLnV2,
    4,
    "applicationContextName",
    "0207 1102 1110 1202f4 1105 1108 1101 1103",
    [2, 16, 756, 5, 8, 1, 3],
  ],
  [
    "what was negotiated: 20189D of utility setting",
    associationLnV2,
    5,
    "xdlmsContextInfo",
    "0206 0418 20189d 1202ee 1202ee 1106 0f00 0900",
    {
      conformance: { length: 24, octets: Buffer.from("20189d", "hex") },
      ...{ maxReceivePduSize: 750, maxSendPduSize: 750, dlmsVersionNumber: 6, qualityOfService: 0 },
      cypheringInfo: Buffer.alloc(0),
    },
  ],
  ["associated", associationLnV2, 8, "associationStatus", "16 02", "associated"],
];

describe("attributes of interface classes", () => {
  it.each(SAMPLES)("%s", (_what, one, index, key, hex, value) => {
    expect(one.byIndex[index]?.key).toBe(key);
    const { codec } = one.byIndex[index]!;
    expect(codec.read(decode(bare(hex)))).toEqual(value);
    expect(encode(codec.write(value))).toBe(bare(hex));
  });

  it("have no index twice and no hole among them", () => {
    for (const one of INTERFACE_CLASSES) {
      const indices = Object.values(one.attributes).map(({ index }) => index);
      expect([...indices].sort((a, b) => a - b)).toEqual(indices.map((_, at) => at + 1));
      const methods = Object.values(one.methods).map(({ index }) => index);
      expect([...methods].sort((a, b) => a - b)).toEqual(methods.map((_, at) => at + 1));
    }
  });

  it("are named as in the Blue Book", () => {
    expect(profileGeneric.byIndex.map((a) => a?.name)).toEqual([
      undefined,
      ...["logical_name", "buffer", "capture_objects", "capture_period", "sort_method", "sort_object"],
      ...["entries_in_use", "profile_entries"],
    ]);
    expect(clock.byIndex[7]?.name).toBe("daylight_savings_deviation");
  });
});

describe("parameters of methods", () => {
  it.each([
    [
      "image initiate of 19.3",
      imageTransfer.methods.imageTransferInitiate,
      "0202 0907 46575f312e3031 06 00001000",
      { imageIdentifier: Buffer.from("FW_1.01"), imageSize: 4096 },
    ],
    [
      "image block 0 of 19.3",
      imageTransfer.methods.imageBlockTransfer,
      "0202 06 00000000 0904 deadbeef",
      { imageBlockNumber: 0, imageBlockValue: Buffer.from("deadbeef", "hex") },
    ],
    ["image verify of 19.3", imageTransfer.methods.imageVerify, "0f00", null],
    ["disconnect of 19.3", disconnectControl.methods.remoteDisconnect, "0f00", null],
    ["MD reset, script 1", scriptTable.methods.execute, "12 0001", 1],
    ["a quarter of an hour back", clock.methods.shiftTime, "10 fc7c", -900],
    [
      "a wrapped key",
      securitySetupV0.methods.globalKeyTransfer,
      "0101 0202 1602 0918 1fa68b0a8112b447aef34bd8fb5a7b829d3e862371d2cfe5",
      [
        {
          keyId: "authentication-key",
          keyWrapped: Buffer.from("1fa68b0a8112b447aef34bd8fb5a7b829d3e862371d2cfe5", "hex"),
        },
      ],
    ],
  ] as const)("%s", (_what, { parameters }, hex, value) => {
    expect(parameters.read(decode(bare(hex)))).toEqual(value);
    expect(encode(parameters.write(value as never))).toBe(bare(hex));
  });

  it("are called by a descriptor", () => {
    expect(methodOf(disconnectControl, parseObis("0.0.96.3.10.255"), "remoteReconnect")).toEqual({
      ...{ classId: 70, instanceId: parseObis("0.0.96.3.10.255"), methodId: 2 },
    });
    expect(attributeOf(clock, parseObis("0.0.1.0.0.255"), "time")).toEqual({
      ...{ classId: 8, instanceId: parseObis("0.0.1.0.0.255"), attributeId: 2 },
    });
  });
});

describe("an object at the server's side", () => {
  const closed = (): ObjectOf<typeof disconnectControl> => ({
    logicalName: parseObis("0.0.96.3.10.255"),
    outputState: true,
    controlState: "connected",
    controlMode: 4,
  });

  it("gives the Data of an attribute", () => {
    const object = closed();
    expect([1, 2, 3, 4].map((index) => encode(attributeData(disconnectControl, object, index)!))).toEqual([
      ...["0906000060030aff", "0301", "1601", "1604"],
    ]);
    expect(attributeData(disconnectControl, object, 5)).toBeNull();
  });

  it("takes an attribute of exactly its type", () => {
    const object = closed();
    expect(setAttribute(disconnectControl, object, 4, decode("1602"))).toBe(true);
    expect(object.controlMode).toBe(2);
    expect(() => setAttribute(disconnectControl, object, 4, decode("1103"))).toThrow(DataMismatch);
    expect(() => setAttribute(disconnectControl, object, 4, decode("0901aa"))).toThrow(
      "control_mode: octet-string (1 octets) where unsigned is expected",
    );
    expect(object.controlMode).toBe(2);
    expect(setAttribute(disconnectControl, object, 9, decode("1602"))).toBe(false);
  });
});

describe("what meters give that is not quite the class's type", () => {
  it("is read where it makes no difference", () => {
    expect(attributeValue(clock, "time", decode("1907ea0718ff0a0f1e00feb600"))).toEqual(TIME);
    expect(attributeValue(profileGeneric, "capturePeriod", decode("120384"))).toBe(900);
    expect(attributeValue(disconnectControl, "outputState", decode("1101"))).toBe(true);
    expect(attributeValue(gprsModemSetup, "apn", decode("0a036d326d"))).toBe("m2m");
    expect(attributeValue(extendedRegister, "captureTime", decode("0900"))).toEqual(UNSPECIFIED);
    expect(attributeValue(profileGeneric, "captureObjects", decode("00"))).toEqual([]);
    expect(attributeValue(associationLnV0, "applicationContextName", decode("090760857405080101"))).toEqual([
      ...[2, 16, 756, 5, 8, 1, 1],
    ]);
  });

  it.each([
    ["06000003e8", "unsigned", () => attributeValue(clock, "status", decode("06000003e8"))],
    [
      "a time of eleven octets",
      "12 octets, not 11",
      () => attributeValue(clock, "time", decode("090b07ea0718ff0a0f1e00feb6")),
    ],
    ["no enum", "enum", () => attributeValue(disconnectControl, "controlState", decode("0a0131"))],
  ])("is refused where it does: %s", (_what, message, read) => {
    expect(read).toThrow(DataMismatch);
    expect(read).toThrow(message);
  });

  it("is told by its place", () => {
    const hex = bare("0102 0202 0904 00000000 0905 ffffffffff 0202 0904 000f0000 0904 ffffffff");
    expect(() => attributeValue(singleActionSchedule, "executionTime", decode(hex))).toThrow(
      "execution_time[1].date: a date has 5 octets, not 4",
    );
  });

  it("is not written", () => {
    expect(() => clock.attributes.timeZone.codec.write(40_000)).toThrow("40000 is out of the range of long");
    expect(() => disconnectControl.attributes.controlState.codec.write("ajar" as never)).toThrow(
      "ajar is none of",
    );
    expect(() => readExactly(profileGeneric.attributes.capturePeriod.codec, decode("120384"))).toThrow(
      "long-unsigned where double-long-unsigned is expected",
    );
  });
});

describe("object lists of other implementations", () => {
  const file = new URL("../vectors/other-implementations/object-lists.tsv", import.meta.url);
  const lists = new Map(
    readFileSync(file, "utf8")
      .trim()
      .split("\n")
      .map((line) => line.split("\t") as [string, string]),
  );

  it.each([
    ["0", 31],
    ["8", 68],
  ])("of stream %s: %i objects, written back as the same octets", (stream, count) => {
    const list = attributeValue(associationLnV2, "objectList", decode(lists.get(stream)!));
    expect(list).toHaveLength(count);
    expect(encode(associationLnV2.attributes.objectList.codec.write(list))).toBe(lists.get(stream));
  });

  it("say what may be done with an object", () => {
    const list = attributeValue(associationLnV2, "objectList", decode(lists.get("8")!));
    const block = list.find(({ logicalName }) => logicalName === parseObis("1.0.99.1.0.255"))!;
    expect([block.classId, block.version]).toEqual([7, 1]);
    expect(block.accessRights.attributeAccess).toEqual(
      [1, 2, 3, 4, 5, 6, 7, 8].map((attributeId) => ({ attributeId, accessMode: 1, accessSelectors: null })),
    );
    expect(block.accessRights.methodAccess).toEqual([
      { methodId: 1, accessMode: 0 },
      { methodId: 2, accessMode: 0 },
    ]);
  });

  it("have other modes before and after version 2", () => {
    // The clock, attribute 2 with mode 3 and selectors, method 1: a boolean in version 0, bits in version 3.
    const head = "0101 0204 120008 1100 0906 0000010000ff 0202 0101 0203 0f02";
    const v0 = attributeValue(
      associationLnV0,
      "objectList",
      decode(bare(`${head} 1603 0102 0f01 0f02 0101 0202 0f01 0301`)),
    );
    expect(v0[0]!.accessRights).toEqual({
      attributeAccess: [{ attributeId: 2, accessMode: 3, accessSelectors: [1, 2] }],
      methodAccess: [{ methodId: 1, accessMode: 1 }],
    });
    const v3 = attributeValue(
      associationLnV3,
      "objectList",
      decode(bare(`${head} 160f 00 0101 0202 0f01 160d`)),
    );
    expect(v3[0]!.accessRights.attributeAccess[0]!.accessMode).toBe(0x0f);
    expect(attributeAccessBits(3, 0x0f)).toBe(0x0f);
    expect([0, 1, 2, 3, 4, 5, 6, 7].map((mode) => attributeAccessBits(2, mode))).toEqual([
      0, 1, 2, 3, 5, 6, 7, 0,
    ]);
    expect([0, 1, 2, 3].map((mode) => methodAccessBits(1, mode))).toEqual([0, 1, 5, 0]);
  });
});

describe("the table of classes", () => {
  it("knows those of the issue, and has a generic form for the others", () => {
    const ids = [1, 3, 4, 5, 7, 8, 9, 10, 11, 15, 17, 18, 20, 21, 22, 23, 40, 41, 42, 45, 64, 70, 71, 72];
    expect([...new Set(INTERFACE_CLASSES.map(({ classId }) => classId))]).toEqual(ids);
    expect(interfaceClassOf(40, 1)).toBe(pushSetupV1);
    expect(isTyped(115, 0)).toBe(false);
    const generic = interfaceClassOf(115, 0);
    expect(generic.byIndex.map((a) => a?.name)).toEqual([undefined, "logical_name"]);
  });
});
