const POWERS_OF_TEN = Array.from({ length: 23 }, (_, exponent) => Number(`1e${exponent}`));

/**
 * raw × 10^scaler, correctly rounded: powers of ten up to 10^22 are exact, so one multiplication or one division rounds once.
 * (Multiplying by 10^−n would round twice: 2418 × 0.1 is 241.8 only by luck.)
 */
export function scaled(raw: number, scaler: number): number {
  if (scaler === 0) return raw;
  if (scaler > 0 && scaler <= 22) return raw * POWERS_OF_TEN[scaler]!;
  if (scaler < 0 && scaler >= -22) return raw / POWERS_OF_TEN[-scaler]!;
  return Number(`${raw}e${scaler}`);
}

/** The same for a 64-bit integer beyond 2⁵³; the digits go into the text, so it is rounded once. */
export function scaledBig(raw: bigint, scaler: number): number {
  return Number(`${raw}e${scaler}`);
}

/** raw × 10^scaler as decimal text without any rounding, for numeric columns. */
export function scaledText(raw: bigint, scaler: number): string {
  const negative = raw < 0n;
  const digits = (negative ? -raw : raw).toString();
  const sign = negative ? "-" : "";
  if (scaler >= 0) return sign + digits + "0".repeat(scaler);
  const padded = digits.padStart(-scaler + 1, "0");
  return `${sign}${padded.slice(0, scaler)}.${padded.slice(scaler)}`;
}
