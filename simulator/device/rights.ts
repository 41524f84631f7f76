import { ACCESS } from "../../src/dlms/association/meter-objects.ts";
import type { DeviceObject } from "./device-model.ts";
import { isTrialClient } from "./trial-clients.ts";

const FIRMWARE_CLIENT = 80;
const UTILITY_CLIENT = 48;
const READER_CLIENT = 32;
const PUBLIC_CLIENT = 16;
const SECRET_ATTRIBUTE = 7;

/** Bits of an access mode. */
export function attributeRights(object: DeviceObject, index: number, clientSap: number): number {
  const { classId, isPublic, writable, logicalName, rights } = object;
  if (rights !== undefined) return rights.get(clientSap)?.attributes.get(index) ?? 0;
  if (isTrialClient(clientSap)) return attributeRights(object, index, UTILITY_CLIENT);
  if (classId === 15 && index === SECRET_ATTRIBUTE) {
    return clientSap === UTILITY_CLIENT && logicalName !== "0.0.40.0.0.255" ? ACCESS.write : 0;
  }
  const write = writable.includes(index) ? ACCESS.write : 0;
  if (clientSap === UTILITY_CLIENT) return ACCESS.read | write;
  if (clientSap === READER_CLIENT) return ACCESS.read;
  if (clientSap === FIRMWARE_CLIENT) return classId === 18 ? ACCESS.read | write : isPublic ? ACCESS.read : 0;
  return clientSap === PUBLIC_CLIENT && isPublic ? ACCESS.read : 0;
}

export function methodRights(object: DeviceObject, index: number, clientSap: number): number | null {
  const { classId, methods, rights } = object;
  if (!methods.includes(index)) return null;
  if (rights !== undefined) return rights.get(clientSap)?.methods.get(index) ?? 0;
  if (isTrialClient(clientSap)) return methodRights(object, index, UTILITY_CLIENT);
  if (clientSap === FIRMWARE_CLIENT) return classId === 18 ? ACCESS.access : 0;
  return clientSap === UTILITY_CLIENT && classId !== 18 ? ACCESS.access : 0;
}
