import { InvalidArgumentError } from "commander";

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, "": 1_000 };

/** `20s`, `5m`, `1h`, `500ms`; a bare number is seconds. In milliseconds. */
export function parseDuration(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*(ms|s|m|h|)$/.exec(text.trim());
  if (!match) throw new InvalidArgumentError("write it as 20s, 5m or 1h.");
  return Number(match[1]) * UNITS[match[2]!]!;
}

/** A whole number from `from`. */
export const parseCount =
  (from: number, to = Number.MAX_SAFE_INTEGER) =>
  (text: string): number => {
    const value = Number(text);
    if (!Number.isInteger(value) || value < from || value > to) {
      throw new InvalidArgumentError(`a whole number from ${from}${to < 1e12 ? ` to ${to}` : ""} is needed.`);
    }
    return value;
  };
