import type { ReceivedApdu } from "./received-apdu.ts";

/** Says which meter behind a concentrator an APDU is of. */
export interface Gateway {
  readonly networkId: number;
  /** As the concentrator names the meter; a copy. */
  readonly physicalAddress: Buffer;
}

const REQUEST = 0xe6;
const RESPONSE = 0xe7;
const PRINTABLE = /^[\x21-\x7e]+$/;

/** The name of a meter behind a gateway: its address as text where it is one, else as hex digits. */
export function gatewayName({ physicalAddress }: Gateway): string {
  const text = physicalAddress.toString("latin1");
  return PRINTABLE.test(text) ? text : physicalAddress.toString("hex");
}

/** What is to be sent to a meter behind a gateway. */
export function toGateway({ networkId, physicalAddress }: Gateway, apdu: Buffer): Buffer {
  const header = Buffer.from([REQUEST, networkId, physicalAddress.length]);
  return Buffer.concat([header, physicalAddress, apdu]);
}

/** Tag, network id, length of the address. */
const FIELDS_OCTETS = 3;
/** Longest address that is looked for where no frame says that a gateway's header is there. */
const ADDRESS_OCTETS_MAX = 64;

/**
 * Octets of the gateway's header that may begin at `from`. With an address of no octets it can't be told from the LLC header and counts as
 * none: null. "need-more" where its length isn't there yet.
 */
export function gatewayHeaderOctets(octets: Buffer, from: number, to: number): number | "need-more" | null {
  if (octets[from] !== REQUEST && octets[from] !== RESPONSE) return null;
  if (from + FIELDS_OCTETS > to) return "need-more";
  const address = octets[from + 2]!;
  return address === 0 || address > ADDRESS_OCTETS_MAX ? null : FIELDS_OCTETS + address;
}

/**
 * Takes the header of a gateway from in front of an APDU (Green Book 10.11): E6 or E7 · network id 1 · physical address, an octet-string
 * with its length · APDU. An APDU without one, or with one that is cut off, is left as it is.
 */
export function throughGateway(received: ReceivedApdu): ReceivedApdu {
  const { apdu } = received;
  const tag = apdu[0];
  if (tag !== RESPONSE && tag !== REQUEST) return received;
  const start = FIELDS_OCTETS + (apdu[2] ?? 0);
  if (apdu.length <= start) return received;
  const gateway = {
    networkId: apdu[1]!,
    physicalAddress: Buffer.from(apdu.subarray(FIELDS_OCTETS, start)),
  };
  return { ...received, apdu: apdu.subarray(start), gateway };
}
