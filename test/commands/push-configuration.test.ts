import { describe, expect, it } from "vitest";
import { checkPushConfiguration } from "../../src/commands/push-check.ts";
import type { ConfiguredPushSetup, PushConfiguration } from "../../src/commands/push-configuration.ts";
import { destinationOctets, destinationText } from "../../src/commands/push-destination.ts";
import { writePushConfiguration } from "../../src/commands/push-write.ts";
import { formatTimePattern, parseTimePattern } from "../../src/commands/time-pattern.ts";
import { PollError } from "../../src/polling/meter-association.ts";
import { FakeAssociation, MemoryLog, normal } from "../support/fake-association.ts";

/* A meter's side is octets by hand, after DLMS-FACTS 13 and 15.2 and the worked exchanges of 19.3. */

const element = (classId: string, version: string, obis: string) =>
  `0204 12${classId} 11${version} 0906 ${obis} 0202 0100 0100`;
const OBJECT_LIST =
  `0105 ${element("000f", "02", "0000280000ff")} ${element("0028", "01", "0005190900ff")} ${element("0028", "02", "0000190900ff")}
  ${element("0016", "00", "00000f0004ff")} ${element("0009", "00", "00000a006cff")}`.replaceAll("\n", "");

const entry1 = (classId: string, obis: string, attribute = "02") =>
  `0205 12${classId} 0906 ${obis} 0f${attribute} 120000 0202 1600 00`;
/** Device id, the push setup's own name, clock and one energy: four entries with the restriction of version 1. */
const LIST_V1 = `0104 ${entry1("0001", "0000600102ff")} ${entry1("0028", "0005190900ff", "01")} ${entry1("0008", "0000010000ff")} ${entry1("0003", "0100011d00ff")}`;
const DESTINATION = "0203 1600 090d 31302e302e302e353a34303539 1600";
const OTHER_DESTINATION = "0203 1600 090d 31302e302e302e393a34303539 1600";
const EVERY_QUARTER = "0102 0202 0904 00000000 0905 ffffffffff 0202 0904 000f0000 0905 ffffffffff";
const SCRIPTS = `0101 0202 120003 0101 0205 1602 120028 0906 0005190900ff 0f01 0f00`;

const bare = (hex: string) => hex.replaceAll(/\s/g, "");

function meter(more: Readonly<Record<string, string>> = {}) {
  return new FakeAssociation({
    "15/0.0.40.0.0.255/2": OBJECT_LIST,
    "40/0.5.25.9.0.255/2": LIST_V1,
    "40/0.5.25.9.0.255/3": DESTINATION,
    "40/0.5.25.9.0.255/4": "0100",
    "40/0.5.25.9.0.255/5": "12 0000",
    "40/0.5.25.9.0.255/6": "11 03",
    "40/0.5.25.9.0.255/7": "12 003c",
    "40/0.0.25.9.0.255/3": DESTINATION,
    "40/0.0.25.9.0.255/7": "0203 12000a 120096 120258",
    "22/0.0.15.0.4.255/2": "0202 0906 00000a006cff 120003",
    "22/0.0.15.0.4.255/3": "16 05",
    "22/0.0.15.0.4.255/4": EVERY_QUARTER,
    "9/0.0.10.0.108.255/2": SCRIPTS,
    ...more,
  });
}

const SETUP: ConfiguredPushSetup = {
  ...{ id: 7, name: "block load", logicalName: "0.5.25.9.0.255", standard: "is15959" },
  ...{ transportService: "tcp", destination: "10.0.0.5:4059", messageType: null },
  communicationWindows: [],
  randomisationStartIntervalSeconds: 0,
  numberOfRetries: 3,
  repetitionDelaySeconds: 60,
  lists: [
    {
      name: "block",
      entries: [
        { classId: 8, logicalName: "0.0.1.0.0.255", attribute: 2, dataIndex: 0, restriction: null },
        { classId: 3, logicalName: "1.0.1.29.0.255", attribute: 2, dataIndex: 0, restriction: null },
      ],
    },
  ],
};
const SCHEDULE = {
  ...{ name: "push every quarter", logicalName: "0.0.15.0.4.255", pushSetup: "0.5.25.9.0.255" },
  executionTimes: ["00:15", "00:00"],
};
const whole = (setup: Partial<ConfiguredPushSetup> = {}): PushConfiguration => ({
  setups: [{ ...SETUP, ...setup }],
  schedules: [SCHEDULE],
});

describe("a meter's push configuration", () => {
  it("that is as configured has no drift", async () => {
    const checks = await checkPushConfiguration(meter(), whole());
    expect(checks.map(({ name, version, state }) => [name, version, state])).toEqual([
      ["block load", 1, "same"],
      ["push every quarter", 0, "same"],
    ]);
    expect(checks[0]!.attributes.map(({ index, state }) => `${index} ${state}`)).toEqual([
      ...["2 same", "5 same", "6 same", "7 same", "4 same", "3 same"],
    ]);
    expect(checks[1]!.attributes.map(({ index, state }) => `${index} ${state}`)).toEqual([
      "2 same",
      "3 same",
      "4 same",
    ]);
  });

  it("is told object by object and attribute by attribute where it drifted", async () => {
    const drifted = meter({
      "40/0.5.25.9.0.255/2": `0102 ${entry1("0001", "0000600102ff")} ${entry1("0028", "0005190900ff", "01")}`,
      "40/0.5.25.9.0.255/3": OTHER_DESTINATION,
      "22/0.0.15.0.4.255/4": "0101 0202 0904 00000000 0905 ffffffffff",
    });
    const [setup, schedule] = await checkPushConfiguration(drifted, whole());
    expect(setup!.attributes.filter(({ state }) => state !== "same")).toMatchObject([
      {
        index: 2,
        state: "differs",
        expected: ["1/0.0.96.1.2.255/2", "40/0.5.25.9.0.255/1", "8/0.0.1.0.0.255/2", "3/1.0.1.29.0.255/2"],
        found: ["1/0.0.96.1.2.255/2", "40/0.5.25.9.0.255/1"],
      },
      { index: 3, expected: ["tcp 10.0.0.5:4059 a-xdr"], found: ["tcp 10.0.0.9:4059 a-xdr"] },
    ]);
    expect(schedule!.attributes[2]).toMatchObject({
      ...{ name: "execution_time", expected: ["00:00:00", "00:15:00"], found: ["00:00:00"] },
    });
  });

  it("that nobody configured is left alone", async () => {
    const silent = {
      ...{ communicationWindows: null, randomisationStartIntervalSeconds: null, numberOfRetries: null },
      ...{ repetitionDelaySeconds: null, lists: [] },
    };
    const [setup] = await checkPushConfiguration(meter(), {
      setups: [{ ...SETUP, ...silent }],
      schedules: [],
    });
    expect(setup!.attributes.map(({ name }) => name)).toEqual(["send_destination_and_method"]);
  });

  it("can't be told where an object is missing, refused, or said twice", async () => {
    const blind = meter({ "40/0.5.25.9.0.255/6": "0901aa" });
    blind.held.delete(normal("40/0.5.25.9.0.255/3"));
    const two = { lists: [...SETUP.lists, { name: "with health", entries: [] }] };
    const [setup, missing] = await checkPushConfiguration(blind, {
      setups: [
        { ...SETUP, ...two },
        { ...SETUP, logicalName: "0.6.25.9.0.255" },
      ],
      schedules: [],
    });
    expect(setup!.state).toBe("unknown");
    expect(
      setup!.attributes
        .filter(({ state }) => state === "unknown")
        .map(({ index, reason }) => [index, reason]),
    ).toEqual([
      [
        2,
        'push_objects has 2 lists for it ("block", "with health"); which one is meant is not said: enable one only',
      ],
      [6, "the meter gave something else: octet-string (1 octets) where unsigned is expected"],
      [3, "object-undefined"],
    ]);
    expect(missing).toMatchObject({ state: "missing", version: null, attributes: [] });
    expect(missing!.reason).toContain("no push setup 0.6.25.9.0.255");
  });

  it("leaves the script where the meter doesn't say which one pushes", async () => {
    const other = meter({ "9/0.0.10.0.108.255/2": "0100" });
    const [schedule] = await checkPushConfiguration(other, { setups: [], schedules: [SCHEDULE] });
    expect(schedule!.attributes[0]).toMatchObject({
      ...{ state: "unknown", found: ["script 3 of 0.0.10.0.108.255"] },
      reason: "no script of 0.0.10.0.108.255 pushes 0.5.25.9.0.255, so that the script is left as it is",
    });
  });
});

describe("writing a push configuration", () => {
  it("writes what differs and nothing else, and reads it back", async () => {
    const drifted = meter({
      "40/0.5.25.9.0.255/2": "0100",
      "40/0.5.25.9.0.255/3": OTHER_DESTINATION,
      "22/0.0.15.0.4.255/4": "0101 0202 0904 00000000 0905 ffffffffff",
    });
    const log = new MemoryLog();
    const { writes } = await writePushConfiguration(drifted, whole(), log);
    expect(drifted.written).toEqual([
      `${normal("40/0.5.25.9.0.255/2")} = ${bare(LIST_V1)}`,
      `${normal("40/0.5.25.9.0.255/3")} = ${bare(DESTINATION)}`,
      // As the worked exchange of 19.3 has it, in the order of the configuration.
      `${normal("22/0.0.15.0.4.255/4")} = ${bare("0102 0202 0904 000f0000 0905 ffffffffff 0202 0904 00000000 0905 ffffffffff")}`,
    ]);
    expect(writes.map(({ attribute, end }) => [attribute.name, end.state])).toEqual([
      ["push_object_list", "verified"],
      ["send_destination_and_method", "verified"],
      ["execution_time", "verified"],
    ]);
    expect(
      log.commands.map(({ state, requested, steps }) => [
        state,
        (requested as { object: string }).object,
        steps.length,
      ]),
    ).toEqual([
      ["verified", "0.5.25.9.0.255", 2],
      ["verified", "0.0.15.0.4.255", 1],
    ]);
    expect(log.commands[0]!.steps[1]).toMatchObject({
      ...{ classId: 40, logicalName: "0.5.25.9.0.255", attribute: 3, state: "verified" },
      before: { structure: [{ enum: 0 }, { os: Buffer.from("10.0.0.9:4059").toString("hex") }, { enum: 0 }] },
    });
    expect((await checkPushConfiguration(drifted, whole())).map(({ state }) => state)).toEqual([
      "same",
      "same",
    ]);
  });

  it("writes version 2 with columns and keeps how the delay grows", async () => {
    const later = meter({ "40/0.0.25.9.0.255/2": "0100" });
    const setup = {
      ...SETUP,
      ...{ logicalName: "0.0.25.9.0.255", standard: null, numberOfRetries: null, communicationWindows: null },
      ...{ randomisationStartIntervalSeconds: null, repetitionDelaySeconds: 30 },
      lists: [
        {
          name: "one",
          entries: [
            { classId: 8, logicalName: "0.0.1.0.0.255", attribute: 2, dataIndex: 0, restriction: null },
          ],
        },
      ],
    };
    await writePushConfiguration(later, { setups: [setup], schedules: [] }, new MemoryLog());
    expect(later.written).toEqual([
      `${normal("40/0.0.25.9.0.255/2")} = ${bare("0101 0206 120008 0906 0000010000ff 0f02 120000 0202 1600 00 0100")}`,
      `${normal("40/0.0.25.9.0.255/7")} = ${bare("0203 12001e 120096 120258")}`,
    ]);
  });

  it("goes on where one attribute is refused, and says so", async () => {
    const strict = meter({ "40/0.5.25.9.0.255/3": OTHER_DESTINATION, "40/0.5.25.9.0.255/6": "11 00" });
    strict.refuse("40/0.5.25.9.0.255/6", "read-write-denied");
    const log = new MemoryLog();
    const { writes } = await writePushConfiguration(strict, whole(), log);
    expect(writes.map(({ attribute, end }) => [attribute.index, end.state])).toEqual([
      [6, "refused"],
      [3, "verified"],
    ]);
    expect(log.commands[0]).toMatchObject({
      state: "refused",
      reason: "number_of_retries: read-write-denied",
    });
  });

  it("stops where the line breaks, and doesn't claim anything", async () => {
    const broken = meter({ "40/0.5.25.9.0.255/3": OTHER_DESTINATION });
    broken.onRequest = (kind) => {
      if (kind === "write") throw new PollError("timeout", "no answer");
    };
    const log = new MemoryLog();
    await expect(writePushConfiguration(broken, whole(), log)).rejects.toThrow("no answer");
    expect(log.commands).toMatchObject([
      { state: "failed", reason: "no answer", steps: [{ state: "failed" }] },
    ]);
  });

  it.each([
    [
      "retries",
      { numberOfRetries: 300 },
      "push setup block load: number_of_retries: 300 is out of the range of unsigned",
    ],
    [
      "transport",
      { transportService: "pigeon" },
      "push setup block load: transport_service: pigeon is none of tcp, udp",
    ],
    [
      "windows",
      { communicationWindows: [{ start: "noon", end: "13:00" }] },
      'communication_windows: "noon" is no time',
    ],
  ])("writes nothing where the tables hold what no meter could: %s", async (_what, setup, message) => {
    const drifted = meter({ "40/0.5.25.9.0.255/2": "0100" });
    await expect(writePushConfiguration(drifted, whole(setup), new MemoryLog())).rejects.toThrow(message);
    expect(drifted.written).toEqual([]);
  });
});

describe("destinations", () => {
  it.each([
    ["31302e302e302e353a34303539", "10.0.0.5:4059"],
    ["0a0000050fdb", "10.0.0.5:4059"],
    ["20010db80000000000000000000000050fdb", "[2001:db8::5]:4059"],
    ["313000", "10"],
    ["", ""],
    ["ff", "ff"],
  ])("%s is %s", (hex, text) => {
    expect(destinationText(Buffer.from(hex, "hex"))).toBe(text);
  });

  it("are written raw where the meter holds raw ones", () => {
    const raw = Buffer.from("0a0000010fdb", "hex");
    expect(destinationOctets("10.0.0.5:4059", raw).toString("hex")).toBe("0a0000050fdb");
    expect(destinationOctets("10.0.0.5:4059", Buffer.from("10.0.0.1:4059")).toString()).toBe("10.0.0.5:4059");
    expect(destinationOctets("hes.example:4059", raw).toString()).toBe("hes.example:4059");
    expect(destinationOctets("10.0.0.256:4059", raw).toString()).toBe("10.0.0.256:4059");
  });
});

describe("times with wildcards", () => {
  it.each([
    ["00:15", "00:15:00"],
    ["*:15:00", "*:15:00"],
    ["06:00 *-*-01", "06:00:00 *-*-01"],
    ["02:00:30 *-12-last", "02:00:30 *-12-last"],
    ["02:00 *-dst-begin-second-last", "02:00:00 *-dst-begin-second-last"],
    ["08:00 *-*-* mon", "08:00:00 *-*-* mon"],
    ["08:00 2026-07-24 fri", "08:00:00 2026-07-24 fri"],
  ])("%s", (text, whole) => {
    expect(formatTimePattern(parseTimePattern(text))).toBe(whole);
  });

  it.each([
    "",
    "noon",
    "24:00",
    "00:60",
    "00:00 2026-13-01",
    "00:00 *-*-32",
    "00:00 *-*-* someday",
    "0:0:0:0",
    "00:00 *-*-* mon x",
  ])("%j is none", (text) => {
    expect(() => parseTimePattern(text)).toThrow("is no time such as");
  });
});
