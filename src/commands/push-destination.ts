/** Address and port of 4 or 16 and 2 octets, which some meters hold in place of text. */
const RAW_V4 = 6;
const RAW_V6 = 18;
const PRINTABLE = /^[\x20-\x7e]*$/;

/** A destination as text: "10.0.0.5:4059", "[2001:db8::5]:4059", or hex where it is neither text nor an address. */
export function destinationText(octets: Buffer): string {
  const text = octets.toString("latin1").replace(/\0+$/, "");
  if (PRINTABLE.test(text) && text.length > 0) return text;
  if (octets.length === 0) return "";
  const port = octets.length >= 2 ? octets.readUInt16BE(octets.length - 2) : 0;
  if (octets.length === RAW_V4) return `${[...octets.subarray(0, 4)].join(".")}:${port}`;
  if (octets.length === RAW_V6) return `[${ipv6Text(octets.subarray(0, 16))}]:${port}`;
  return octets.toString("hex");
}

/** The destination as it is to be written: raw where the meter holds a raw one and the text is an IPv4 address and port; else the text. */
export function destinationOctets(text: string, found: Buffer | null): Buffer {
  const isRaw = found?.length === RAW_V4 && !PRINTABLE.test(found.toString("latin1"));
  return (isRaw ? rawAddress(text) : null) ?? Buffer.from(text, "latin1");
}

function rawAddress(text: string): Buffer | null {
  const parts = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3}):(\d{1,5})$/.exec(text)?.slice(1).map(Number);
  if (parts === undefined || parts.some((part, index) => part > (index < 4 ? 0xff : 0xffff))) return null;
  const port = parts[4]!;
  return Buffer.from([...parts.slice(0, 4), port >> 8, port & 0xff]);
}

/** In the form of RFC 5952, as people write it: the longest run of zeros is "::". */
function ipv6Text(octets: Buffer): string {
  const groups = Array.from({ length: 8 }, (_, i) => octets.readUInt16BE(i * 2).toString(16));
  return new URL(`http://[${groups.join(":")}]`).hostname.slice(1, -1);
}
