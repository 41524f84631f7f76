import { applicationContexts, mechanisms } from "../acse/apdu.ts";

/** Authentication mechanism: 0 none, 1 LLS, 2 HLS of a companion specification (here AES-128), 3 MD5, 4 SHA-1, 5 GMAC, 6 SHA-256. */
export type Mechanism = 0 | 1 | 2 | 3 | 4 | 5 | 6;

const MECHANISM_OID = "2.16.756.5.8.2.";
const CONTEXT_OID = "2.16.756.5.8.1.";

export const CONTEXT = { logicalNames: `${CONTEXT_OID}1`, logicalNamesCiphered: `${CONTEXT_OID}3` } as const;

export const mechanismOid = (mechanism: Mechanism) => `${MECHANISM_OID}${mechanism}`;

/** null where the name is none of ours; 0 where there is none. */
export function mechanismOf(oid: string | null): Mechanism | null {
  if (oid === null) return 0;
  const number = oid.startsWith(MECHANISM_OID) ? Number(oid.slice(MECHANISM_OID.length)) : Number.NaN;
  return number >= 0 && number <= 6 ? (number as Mechanism) : null;
}

export const mechanismName = (oid: string | null) => (oid === null ? "none" : (mechanisms[oid] ?? oid));

export const contextName = (oid: string | null) =>
  oid === null ? "none" : (applicationContexts[oid] ?? oid);

export const isHls = (mechanism: Mechanism) => mechanism >= 2;

/** 07 80: authentication is asked for. */
export const AUTHENTICATION_REQUIREMENT = Buffer.from([0x07, 0x80]);

/** Octets of a challenge, as the Green Book bounds it. */
export const CHALLENGE_MIN = 8;
export const CHALLENGE_MAX = 64;

/** Conformance bits by name, the most significant of 24 first. */
export const CONFORMANCE = {
  generalProtection: 0x400000,
  generalBlockTransfer: 0x200000,
  blockTransferWithGet: 0x001000,
  blockTransferWithSet: 0x000800,
  blockTransferWithAction: 0x000400,
  multipleReferences: 0x000200,
  dataNotification: 0x000080,
  access: 0x000040,
  get: 0x000010,
  set: 0x000008,
  selectiveAccess: 0x000004,
  eventNotification: 0x000002,
  action: 0x000001,
} as const;

export const DLMS_VERSION = 6;
/** VAA name of logical name referencing. */
export const VAA_NAME_LN = 0x0007;
