const POSITIVE = 0x0000;
const NEGATIVE = 0x4000;
const NOT_A_NUMBER = 0xc000;
const GROUP = 4;
/** What `writeNumeric` may write: 12 octets of header, and two for each of at most 52 groups of digits. */
export const NUMERIC_OCTETS_MAX = 120;

/**
 * Writes `numeric` as PostgreSQL's binary format has it: 32-bit length, then 16-bit each: count of digits in base 10,000, weight of the
 * first, sign, decimal places shown, and the digits. Answers the offset behind it.
 */
export function writeNumeric(buffer: Buffer, offset: number, value: number | bigint | string): number {
  const text = decimal(value);
  if (text === null) return writeDigits(buffer, offset, [], 0, NOT_A_NUMBER, 0);
  const negative = text.startsWith("-");
  const [whole = "0", fraction = ""] = (negative ? text.slice(1) : text).split(".");
  const left = whole.padStart(Math.ceil(whole.length / GROUP) * GROUP, "0");
  const right = fraction.padEnd(Math.ceil(fraction.length / GROUP) * GROUP, "0");
  const digits: number[] = [];
  for (let at = 0; at < left.length + right.length; at += GROUP) {
    digits.push(Number((left + right).slice(at, at + GROUP)));
  }
  let weight = left.length / GROUP - 1;
  while (digits.length > 0 && digits[0] === 0) {
    digits.shift();
    weight -= 1;
  }
  while (digits.length > 0 && digits.at(-1) === 0) digits.pop();
  return writeDigits(
    buffer,
    offset,
    digits,
    digits.length === 0 ? 0 : weight,
    negative ? NEGATIVE : POSITIVE,
    fraction.length,
  );
}

function writeDigits(
  buffer: Buffer,
  offset: number,
  digits: readonly number[],
  weight: number,
  sign: number,
  places: number,
): number {
  let at = buffer.writeInt32BE(8 + 2 * digits.length, offset);
  at = buffer.writeInt16BE(digits.length, at);
  at = buffer.writeInt16BE(weight, at);
  at = buffer.writeUInt16BE(sign, at);
  at = buffer.writeInt16BE(places, at);
  for (const digit of digits) at = buffer.writeInt16BE(digit, at);
  return at;
}

/** Digits without an exponent; null where it is no finite number. */
function decimal(value: number | bigint | string): string | null {
  const text = String(value);
  if (/^-?\d{1,100}(\.\d{1,100})?$/.test(text)) return text;
  const number = Number(value);
  if (!Number.isFinite(number)) return null;
  if (Math.abs(number) >= 1e60) throw new RangeError(`${text} is too large for a reading`);
  // An exponent: at 10²¹ and more the number is whole, else it is tiny.
  return Math.abs(number) >= 1e21
    ? String(BigInt(number))
    : number.toFixed(20).replace(/0+$/, "").replace(/\.$/, "");
}
