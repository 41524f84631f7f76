import { BlockList, isIP, isIPv6 } from "node:net";
import { normalisedAddress } from "./address.ts";
import { TransportError } from "./errors.ts";

/** Some IP addresses and networks. */
export interface AddressSet {
  has(address: string): boolean;
}

const family = (address: string) => (isIPv6(address) ? "ipv6" : "ipv4");

/**
 * @param texts addresses and networks: "10.0.0.5", "10.0.0.0/8", "2001:db8::/32"
 * @throws TransportError that says which one is neither
 */
export function parseAddressSet(texts: readonly string[]): AddressSet {
  const list = new BlockList();
  for (const text of texts) {
    const [address = "", bits, ...more] = text.trim().split("/");
    const bitsMax = isIPv6(address) ? 128 : 32;
    const isPrefix = bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= bitsMax);
    if (isIP(address) === 0 || !isPrefix || more.length > 0) {
      throw new TransportError(
        "EINVAL",
        `"${text}" is no address and no network: expected one as in "10.0.0.5" or "10.0.0.0/24"`,
      );
    }
    if (bits === undefined) list.addAddress(address, family(address));
    else list.addSubnet(address, Number(bits), family(address));
  }
  return {
    has: (address) => {
      const plain = normalisedAddress(address);
      return isIP(plain) !== 0 && list.check(plain, family(plain));
    },
  };
}
