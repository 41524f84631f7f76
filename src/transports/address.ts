import { isIPv4, isIPv6 } from "node:net";
import { TransportError } from "./errors.ts";

export interface SocketAddress {
  readonly host: string;
  readonly port: number;
}

/**
 * "[::]:4059", "0.0.0.0:4059", "localhost:4059", and ":4059" for all addresses. Port 0 lets the system choose.
 * @throws TransportError that says what is expected
 */
export function parseSocketAddress(text: string): SocketAddress {
  const match = /^(?:\[(?<six>[0-9a-fA-F:.]+(?:%\w+)?)\]|(?<host>[^[\]:]*)):(?<port>\d{1,5})$/.exec(
    text.trim(),
  );
  const port = Number(match?.groups?.["port"]);
  if (match === null || port > 65_535) {
    throw new TransportError(
      "EINVAL",
      `"${text}" is not an address to listen on: expected HOST:PORT or [IPv6]:PORT, as in "[::]:4059"`,
    );
  }
  const host = match.groups?.["six"] ?? match.groups?.["host"];
  return { host: host === undefined || host === "" ? "::" : host, port };
}

export function formatSocketAddress({ host, port }: SocketAddress): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** "::ffff:192.0.2.1" → "192.0.2.1"; others as they are. */
export function normalisedAddress(address: string): string {
  return address.startsWith("::ffff:") && address.includes(".") ? address.slice(7) : address;
}

/** "192.0.2.0/24" of an IPv4 address, "2001:db8:0:0/64" of an IPv6 address, its zone included; a name is a network of its own. */
export function networkOf(host: string): string {
  const [text, zone] = host.split("%") as [string, string?];
  const address = normalisedAddress(text);
  if (isIPv4(address)) return `${address.slice(0, address.lastIndexOf("."))}.0/24`;
  if (!isIPv6(address)) return host;
  const [before, after] = address.split("::") as [string, string?];
  const groups = groupsOf(before);
  const rest = after === undefined ? [] : groupsOf(after);
  while (groups.length + rest.length < 8) groups.push(0);
  const prefix = [...groups, ...rest].slice(0, 4).map((group) => group.toString(16));
  return `${prefix.join(":")}${zone === undefined ? "" : `%${zone}`}/64`;
}

/** An IPv4 address at the end is two groups, which no prefix of 64 bits reaches. */
const groupsOf = (text: string): number[] =>
  text === ""
    ? []
    : text.split(":").flatMap((group) => (group.includes(".") ? [0, 0] : Number.parseInt(group, 16)));

/** Whether listening failed because this machine has no IPv6. */
export function hasNoIpv6(host: string, error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException).code;
  return host === "::" && (code === "EAFNOSUPPORT" || code === "EADDRNOTAVAIL" || code === "EINVAL");
}
