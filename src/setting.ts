import { z } from "zod";

/** One setting: its default, unit and meaning. */
export interface Setting<T> {
  readonly schema: z.ZodType<T>;
  readonly fallback: T;
  readonly description: string;
  /** Unit of a number, in words. */
  readonly unit?: string;
  /** Says in words what an empty default stands for. */
  readonly fallbackText?: string;
  /** Masked where it is shown, and may be given as the name of a file: `key_file`. */
  readonly secret?: boolean;
}

interface Extras {
  readonly unit?: string;
  readonly fallbackText?: string;
  readonly secret?: boolean;
}

export function setting<T>(
  schema: z.ZodType<T>,
  fallback: T,
  description: string,
  extras: Extras = {},
): Setting<T> {
  return { schema, fallback, description, ...extras };
}

export const text = (fallback: string, description: string, extras?: Extras) =>
  setting(z.string(), fallback, description, extras);

export const count = (fallback: number, unit: string, description: string, from = 1) =>
  setting(z.int().min(from), fallback, description, { unit });

export const choice = <const T extends readonly [string, ...string[]]>(
  values: T,
  fallback: T[number],
  description: string,
) => setting<T[number]>(z.enum(values) as unknown as z.ZodType<T[number]>, fallback, description);
