/** Numbers that depend on nothing but a seed: the same fleet behaves the same way in every run. */

/** Mixes two 32-bit numbers into one (the finaliser of MurmurHash3). */
export function mix(seed: number, salt: number): number {
  let hash = (seed ^ Math.imul(salt, 0x9e3779b1)) >>> 0;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** A number in [0, 1) that belongs to (seed, salt). */
export function fraction(seed: number, salt: number): number {
  return mix(seed, salt) / 0x1_0000_0000;
}

/** A number in [from, to) that belongs to (seed, salt). */
export function between(seed: number, salt: number, from: number, to: number): number {
  return from + (to - from) * fraction(seed, salt);
}
