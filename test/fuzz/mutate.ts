/** A generator of pseudo-random numbers that a seed makes repeatable (mulberry32). */
export class Random {
  private state: number;

  constructor(seed: number) {
    this.state = seed >>> 0;
  }

  /** 0 … bound − 1 */
  below(bound: number): number {
    this.state = (this.state + 0x6d2b79f5) >>> 0;
    let t = this.state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 0x1_0000_0000) * bound);
  }

  oneIn(count: number): boolean {
    return this.below(count) === 0;
  }
}

/** Inputs are seldom longer, or each would take long. */
const USUAL_OCTETS_MAX = 1_024;
/** As much as one read from a socket brings. */
const OCTETS_MAX = 65_536;
const STEPS_MAX = 6;

type Mutation = (octets: Buffer, random: Random, constants: readonly number[], other: Buffer) => Buffer;

const place = (octets: Buffer, random: Random) => random.below(octets.length + 1);

function insert(octets: Buffer, at: number, inserted: Buffer): Buffer {
  return Buffer.concat([octets.subarray(0, at), inserted, octets.subarray(at)]);
}

/** Some octets of an input, mostly few. */
function part(octets: Buffer, random: Random): Buffer {
  const from = random.below(octets.length);
  const length =
    1 + random.below(random.oneIn(3) ? octets.length - from : Math.min(16, octets.length - from));
  return octets.subarray(from, from + length);
}

/** A number that the code knows, in as many octets as it takes, or in more. */
function constant(random: Random, constants: readonly number[]): Buffer {
  const value = constants[random.below(constants.length)]!;
  const least = value > 0xff_ffff ? 4 : value > 0xff ? 2 : 1;
  const octets = Buffer.alloc(random.oneIn(4) ? 4 : least);
  octets.writeUIntBE(value % 2 ** (8 * octets.length), 0, octets.length);
  return octets;
}

const MUTATIONS: readonly Mutation[] = [
  (octets, random) => {
    const changed = Buffer.from(octets);
    changed[random.below(changed.length)]! ^= 1 << random.below(8);
    return changed;
  },
  (octets, random) => {
    const changed = Buffer.from(octets);
    changed[random.below(changed.length)] = random.below(256);
    return changed;
  },
  (octets, random) => {
    const changed = Buffer.from(octets);
    changed[random.below(changed.length)]! += random.below(9) - 4;
    return changed;
  },
  (octets, random, constants) => {
    const changed = Buffer.from(octets);
    constant(random, constants).copy(changed, random.below(changed.length));
    return changed;
  },
  (octets, random, constants) => insert(octets, place(octets, random), constant(random, constants)),
  (octets, random) => insert(octets, place(octets, random), Buffer.of(random.below(256))),
  (octets, random) => {
    const from = random.below(octets.length);
    const length =
      1 + random.below(random.oneIn(4) ? octets.length - from : Math.min(8, octets.length - from));
    return Buffer.concat([octets.subarray(0, from), octets.subarray(from + length)]);
  },
  (octets, random) => octets.subarray(0, random.below(octets.length)),
  (octets, random) => insert(octets, place(octets, random), part(octets, random)),
  (octets, random, _, other) => insert(octets, place(octets, random), part(other, random)),
  (octets, random, _, other) => {
    const changed = Buffer.from(octets);
    part(other, random).copy(changed, random.below(changed.length));
    return changed;
  },
  (octets, random, _, other) =>
    Buffer.concat([octets.subarray(0, place(octets, random)), other.subarray(random.below(other.length))]),
];

/** Now and then a part of it over and over: what is slow for many is seldom slow for few. */
function repeated(octets: Buffer, random: Random): Buffer {
  const piece = part(octets, random);
  const times = Math.floor((1 + random.below(OCTETS_MAX)) / piece.length);
  return insert(octets, place(octets, random), Buffer.concat(Array.from({ length: times }, () => piece)));
}

/** How seldom an input is made long. */
const REPEATED_ONE_IN = 5_000;

export function mutate(octets: Buffer, other: Buffer, random: Random, constants: readonly number[]): Buffer {
  let result = octets;
  for (let steps = 1 + random.below(STEPS_MAX); steps > 0; steps--) {
    if (result.length === 0) result = Buffer.of(random.below(256));
    result = MUTATIONS[random.below(MUTATIONS.length)]!(result, random, constants, other);
  }
  if (result.length > USUAL_OCTETS_MAX) result = result.subarray(0, USUAL_OCTETS_MAX);
  if (result.length > 0 && random.oneIn(REPEATED_ONE_IN)) result = repeated(result, random);
  return result.length > OCTETS_MAX ? result.subarray(0, OCTETS_MAX) : result;
}
