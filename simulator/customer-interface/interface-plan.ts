import type { Habits } from "../habits.ts";
import { type MeterPlan, nameplate } from "../identity.ts";
import { PlannedKeys } from "../planned-keys.ts";
import type { InterfaceLine, InterfaceModel } from "./interface-model.ts";

const ENCRYPTED = 0x20;
/** One HDLC frame holds any list. */
const INFORMATION_OCTETS = 2_000;

/**
 * Plan of number `index` of a fleet, where it is a customer interface. What sends in clear, and not always its number, is known by the address
 * that it calls from: a loopback address of its own where the head-end is reached over loopback, which Linux needs no configuration for.
 */
export function planInterface(
  seed: number,
  index: number,
  model: InterfaceModel,
  overLoopback: boolean,
): MeterPlan {
  const { systemTitle, ...plate } = nameplate(index);
  const meterNumber = numberOf(model, plate.serial);
  return {
    index,
    meterNumber,
    meterType: model.meterType,
    identity: {
      ...plate,
      deviceId: meterNumber,
      meterType: 0,
      category: model.name,
      currentRating: "",
      ctRatio: 1,
      vtRatio: 1,
    },
    systemTitle,
    suite: 0,
    keys: new PlannedKeys({ seed, meterNumber, suite: 0, authenticates: false, perClient: false }),
    protection: model.isCiphered ? ENCRYPTED : 0,
    framing: model.line.framing,
    habits: {
      ...lineHabits(model.line),
      longInvokeId: model.invokeId,
      timeTagged: model.notifies === "tagged",
    },
    style: {
      layout: "flat",
      time: { zone: model.zone, deviation: "standard" },
      deviceIdType: "visible-string",
    },
    deviationSign: "standard",
    clients: [],
    localAddress: !model.isCiphered && overLoopback ? loopbackAddress(index) : null,
  };
}

/** GIAI of 16 digits in Norway, twelve digits in Austria. */
function numberOf({ isCiphered }: InterfaceModel, serial: string): string {
  return isCiphered ? serial.padStart(12, "1000") : `70570000${serial}`;
}

function lineHabits(line: InterfaceLine): Habits {
  if (line.framing === "mbus") return { mbusSaps: { stsap: line.stsap, dtsap: line.dtsap } };
  const { destination, source, control } = line;
  return { ends: { destination, source }, control, informationOctets: INFORMATION_OCTETS };
}

/** 127.16.0.1 and on: 127.0.0.1 is everybody's. */
function loopbackAddress(index: number): string {
  const number = index + 1;
  return `127.${16 + (number >> 16)}.${(number >> 8) & 0xff}.${number & 0xff}`;
}
