import { ACCESS } from "../../src/dlms/association/meter-objects.ts";
import type { Role } from "./device-file.ts";
import type { DeviceModel, DeviceObject } from "./device-model.ts";

const SECRET_ATTRIBUTE = 7;

/** Who asks: the client, and what it may do. */
export interface Asking {
  readonly clientSap: number;
  /** null: the meter knows no such client. */
  readonly role: Role | null;
}

/** Bits of an access mode. */
export function attributeRights(object: DeviceObject, index: number, { clientSap, role }: Asking): number {
  const { classId, isPublic, writable, logicalName, rights } = object;
  if (rights !== undefined) return rights.get(clientSap)?.attributes.get(index) ?? 0;
  if (classId === 15 && index === SECRET_ATTRIBUTE) {
    return mayWrite(role) && logicalName !== "0.0.40.0.0.255" ? ACCESS.write : 0;
  }
  const write = writable.includes(index) ? ACCESS.write : 0;
  if (mayWrite(role)) return ACCESS.read | write;
  if (role === "reader") return ACCESS.read;
  if (role === "firmware") return classId === 18 ? ACCESS.read | write : isPublic ? ACCESS.read : 0;
  return role === "public" && isPublic ? ACCESS.read : 0;
}

export function methodRights(
  object: DeviceObject,
  index: number,
  { clientSap, role }: Asking,
): number | null {
  const { classId, methods, rights } = object;
  if (!methods.includes(index)) return null;
  if (rights !== undefined) return rights.get(clientSap)?.methods.get(index) ?? 0;
  if (role === "firmware") return classId === 18 ? ACCESS.access : 0;
  // Only where there is no client for firmware of its own the one who may do everything transfers images too.
  return role === "manager" || (role === "utility" && classId !== 18) ? ACCESS.access : 0;
}

const mayWrite = (role: Role | null) => role === "utility" || role === "manager";

export function askingAs({ associations }: DeviceModel, clientSap: number): Asking {
  return { clientSap, role: associations.find((one) => one.clientSap === clientSap)?.role ?? null };
}
