import type { CosemAttributeDescriptor, CosemMethodDescriptor } from "../cosem/attribute-descriptor.ts";
import { AUTHENTICATED, ENCRYPTED } from "../security/security-control.ts";
import { ACCESS, type MeterObjects, type Requester } from "./meter-objects.ts";

/** Whether a request may be served, and how the answer to it must be protected. */
export type Access =
  | { readonly kind: "granted"; readonly responseBits: number }
  | { readonly kind: "denied"; readonly result: "object-undefined" | "read-write-denied" };

export function readAccess(
  objects: MeterObjects,
  attribute: CosemAttributeDescriptor,
  by: Requester,
): Access {
  return judge(objects.attributeAccess(attribute, by), ACCESS.read, by);
}

export function writeAccess(
  objects: MeterObjects,
  attribute: CosemAttributeDescriptor,
  by: Requester,
): Access {
  return judge(objects.attributeAccess(attribute, by), ACCESS.write, by);
}

export function methodAccess(objects: MeterObjects, method: CosemMethodDescriptor, by: Requester): Access {
  return judge(objects.methodAccess(method, by), ACCESS.access, by);
}

/** Stronger protection than an access mode asks for is always good enough. */
function judge(mode: number | null, needed: number, { protection }: Requester): Access {
  if (mode === null) return { kind: "denied", result: "object-undefined" };
  const authenticated = (mode & ACCESS.authenticatedRequest) === 0 || (protection & AUTHENTICATED) !== 0;
  const encrypted = (mode & ACCESS.encryptedRequest) === 0 || (protection & ENCRYPTED) !== 0;
  if ((mode & needed) === 0 || !authenticated || !encrypted) {
    return { kind: "denied", result: "read-write-denied" };
  }
  const responseBits =
    (mode & ACCESS.authenticatedResponse ? AUTHENTICATED : 0) |
    (mode & ACCESS.encryptedResponse ? ENCRYPTED : 0);
  return { kind: "granted", responseBits };
}
