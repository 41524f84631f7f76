import { activityCalendar } from "./activity-calendar.ts";
import { associationLnV0, associationLnV1, associationLnV2, associationLnV3 } from "./association-ln.ts";
import { clock } from "./clock.ts";
import { data } from "./data.ts";
import { demandRegister } from "./demand-register.ts";
import { disconnectControl } from "./disconnect-control.ts";
import { extendedRegister } from "./extended-register.ts";
import { gprsModemSetup } from "./gprs-modem-setup.ts";
import { iecHdlcSetup, iecHdlcSetupV0 } from "./iec-hdlc-setup.ts";
import { imageTransfer } from "./image-transfer.ts";
import { type InterfaceClass, interfaceClass } from "./interface-class.ts";
import { ipv4Setup } from "./ipv4-setup.ts";
import { limiter } from "./limiter.ts";
import { mbusClient, mbusClientV0 } from "./mbus-client.ts";
import { profileGeneric } from "./profile-generic.ts";
import { pushSetupV0, pushSetupV1, pushSetupV2, pushSetupV3 } from "./push-setup.ts";
import { register } from "./register.ts";
import { registerMonitor } from "./register-monitor.ts";
import { sapAssignment } from "./sap-assignment.ts";
import { schedule } from "./schedule.ts";
import { scriptTable } from "./script-table.ts";
import { securitySetup, securitySetupV0 } from "./security-setup.ts";
import { singleActionSchedule } from "./single-action-schedule.ts";
import { specialDaysTable } from "./special-days-table.ts";
import { tcpUdpSetup } from "./tcp-udp-setup.ts";

/** All classes that are typed. */
export const INTERFACE_CLASSES: readonly InterfaceClass[] = [
  data,
  register,
  extendedRegister,
  demandRegister,
  profileGeneric,
  clock,
  scriptTable,
  schedule,
  specialDaysTable,
  associationLnV0,
  associationLnV1,
  associationLnV2,
  associationLnV3,
  sapAssignment,
  imageTransfer,
  activityCalendar,
  registerMonitor,
  singleActionSchedule,
  iecHdlcSetupV0,
  iecHdlcSetup,
  pushSetupV0,
  pushSetupV1,
  pushSetupV2,
  pushSetupV3,
  tcpUdpSetup,
  ipv4Setup,
  gprsModemSetup,
  securitySetupV0,
  securitySetup,
  disconnectControl,
  limiter,
  mbusClientV0,
  mbusClient,
];

const key = (classId: number, version: number) => classId * 256 + version;
const BY_KEY = new Map(INTERFACE_CLASSES.map((one) => [key(one.classId, one.version), one]));

/**
 * The class, or the generic form for a class or version that is not typed: its logical name is known, and the other attributes, from 2, are
 * `anyData`; their number is the meter's to say.
 */
export function interfaceClassOf(classId: number, version: number): InterfaceClass {
  return BY_KEY.get(key(classId, version)) ?? genericClass(classId, version);
}

/** Whether the attributes of the class and version are typed. */
export function isTyped(classId: number, version: number): boolean {
  return BY_KEY.has(key(classId, version));
}

function genericClass(classId: number, version: number): InterfaceClass {
  return interfaceClass({ classId, version, name: `Class ${classId}`, attributes: {}, methods: {} });
}
