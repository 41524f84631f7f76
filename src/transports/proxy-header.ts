import { isIPv4, isIPv6 } from "node:net";
import { TransportError } from "./errors.ts";

/*
 * PROXY protocol (HAProxy, doc/proxy-protocol.txt): what a load balancer says before the first octet of a connection that it passes on.
 *
 * Version 1, at most 107 octets:  PROXY TCP4 192.0.2.1 198.51.100.7 56324 4059 CR LF   (or TCP6, or UNKNOWN and anything)
 *
 * Version 2
 *   12      0D 0A 0D 0A 00 0D 0A 51 55 49 54 0A
 *   1       version (2) and command: 0 LOCAL, the balancer's own connection; 1 PROXY
 *   1       family and transport: 11 TCP over IPv4, 21 TCP over IPv6
 *   2       octets that follow
 *   n       source, destination (4 or 16 octets each), source port, destination port (2 each), then TLVs, which are passed over
 */

/** Who is on the other side of the balancer; null: the balancer speaks for itself, as in a health check. */
export interface ProxiedPeer {
  readonly address: string;
  readonly port: number;
}

export interface ProxyHeader {
  readonly peer: ProxiedPeer | null;
  /** Octets of the header; what follows is the meter's. */
  readonly length: number;
}

const SIGNATURE = Buffer.from("0D0A0D0A000D0A515549540A", "hex");
const PREFIX_OCTETS = 16;
const LINE_START = Buffer.from("PROXY ", "latin1");
const LINE_OCTETS_MAX = 107;
/** Addresses of IPv6 and their ports take 36 octets; the rest is room for TLVs, of which a TLS certificate's names are the largest. */
export const PROXY_HEADER_OCTETS_MAX = 4_096;

const LOCAL = 0x20;
const PROXY = 0x21;
const TCP_OVER_IPV4 = 0x11;
const TCP_OVER_IPV6 = 0x21;

/**
 * Reads the header at the start of what a trusted balancer has sent so far; null: more octets are needed.
 * @throws TransportError `EPROTO` where it is none
 */
export function readProxyHeader(octets: Buffer): ProxyHeader | null {
  if (beginsLike(octets, SIGNATURE)) return octets.length < PREFIX_OCTETS ? null : readVersion2(octets);
  if (beginsLike(octets, LINE_START)) return readVersion1(octets);
  throw refused("it begins with neither PROXY nor the signature of version 2");
}

/** Whether `octets` are `start` and more, or the beginning of it. */
function beginsLike(octets: Buffer, start: Buffer): boolean {
  const length = Math.min(octets.length, start.length);
  return octets.compare(start, 0, length, 0, length) === 0;
}

function readVersion1(octets: Buffer): ProxyHeader | null {
  const end = octets.subarray(0, LINE_OCTETS_MAX).indexOf("\r\n", 0, "latin1");
  if (end < 0) {
    if (octets.length < LINE_OCTETS_MAX) return null;
    throw refused(`its line is longer than ${LINE_OCTETS_MAX} octets`);
  }
  const length = end + 2;
  const [, family, source = "", destination = "", sourcePort = "", destinationPort = "", ...more] = octets
    .toString("latin1", 0, end)
    .split(" ");
  if (family === "UNKNOWN") return { peer: null, length };
  const isAddress = family === "TCP4" ? isIPv4 : family === "TCP6" ? isIPv6 : () => false;
  const isPort = (text: string) => /^(0|[1-9]\d{0,4})$/.test(text) && Number(text) <= 65_535;
  const isWhole =
    isAddress(source) && isAddress(destination) && isPort(sourcePort) && isPort(destinationPort);
  if (!isWhole || more.length > 0) throw refused("its line doesn't say who called whom");
  return { peer: { address: canonical(source), port: Number(sourcePort) }, length };
}

function readVersion2(octets: Buffer): ProxyHeader | null {
  const [command, family] = [octets[12]!, octets[13]!];
  if (command !== LOCAL && command !== PROXY) throw refused("its version or command is unknown");
  const length = PREFIX_OCTETS + octets.readUInt16BE(14);
  if (length > PROXY_HEADER_OCTETS_MAX) throw refused(`it has more than ${PROXY_HEADER_OCTETS_MAX} octets`);
  if (octets.length < length) return null;
  if (command === LOCAL) return { peer: null, length };
  const addressOctets = family === TCP_OVER_IPV4 ? 4 : family === TCP_OVER_IPV6 ? 16 : null;
  if (addressOctets === null) throw refused("what it passes on is no TCP connection");
  const portAt = PREFIX_OCTETS + 2 * addressOctets;
  if (portAt + 4 > length) throw refused("its addresses are cut off");
  const source = octets.subarray(PREFIX_OCTETS, PREFIX_OCTETS + addressOctets);
  const address = canonical(addressOctets === 4 ? source.join(".") : ipv6Text(source));
  return { peer: { address, port: octets.readUInt16BE(portAt) }, length };
}

const ipv6Text = (octets: Buffer): string =>
  Array.from({ length: 8 }, (_, index) => octets.readUInt16BE(2 * index).toString(16)).join(":");

/** As the addresses of sockets are written here: RFC 5952, and IPv4 where it is mapped into IPv6. */
function canonical(address: string): string {
  if (isIPv4(address)) return address;
  const text = new URL(`http://[${address}]`).hostname.slice(1, -1);
  const mapped = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(text);
  if (mapped === null) return text;
  const [high, low] = [Number.parseInt(mapped[1]!, 16), Number.parseInt(mapped[2]!, 16)];
  return [high >> 8, high & 0xff, low >> 8, low & 0xff].join(".");
}

const refused = (why: string) => new TransportError("EPROTO", `the PROXY protocol's header is wrong: ${why}`);
