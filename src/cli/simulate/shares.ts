import { EXIT, UserError } from "../../exit.ts";
import { parseDuration } from "../duration.ts";

/** `a=1,b` → [["a", "1"], ["b", null]] */
function pairs(text: string): [name: string, value: string | null][] {
  return text
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "")
    .map((part) => {
      const [name, value] = part.split("=", 2);
      return [name!.trim(), value === undefined ? null : value.trim()];
    });
}

function known<N extends string>(option: string, name: string, names: readonly N[]): N {
  const found = names.find((candidate) => candidate.toLowerCase() === name.toLowerCase());
  if (found === undefined) {
    throw new UserError(EXIT.usage, `${option}: there is no "${name}"; there are ${names.join(", ")}`);
  }
  return found;
}

/** `d1,d2` or `all`. */
export function parseNames<N extends string>(option: string, text: string, names: readonly N[]): N[] {
  if (text.trim().toLowerCase() === "all") return [...names];
  return pairs(text).map(([name]) => known(option, name, names));
}

/** Of all pushes, where a fault is named without a share. */
const SHARE = 0.01;

/** `all`, `all=0.5%`, `flip=1%,drop` → shares 0 … 1. */
export function parseShares<N extends string>(
  option: string,
  text: string,
  names: readonly N[],
): Partial<Record<N, number>> {
  const shares: Partial<Record<N, number>> = {};
  for (const [name, value] of pairs(text)) {
    const share = value === null ? SHARE : shareOf(option, name, value);
    for (const one of name.toLowerCase() === "all" ? names : [known(option, name, names)])
      shares[one] = share;
  }
  return shares;
}

function shareOf(option: string, name: string, text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*(%?)$/.exec(text);
  const share = match === null ? Number.NaN : Number(match[1]) / (match[2] === "%" ? 100 : 1);
  if (!(share >= 0 && share <= 1)) {
    throw new UserError(
      EXIT.usage,
      `${option}: ${name}=${text} is no share; write ${name}=1% or ${name}=0.01`,
    );
  }
  return share;
}

/** Periods of pushes in seconds, null where the text says nothing of them; 0: none. */
export interface Periods {
  readonly instant: number | null;
  readonly block: number | null;
  /** Shortest period of the lists of customer interfaces. */
  readonly list: number | null;
}

/** `instant=15m,block=30m,list=1m`; `off` for none. */
export function parsePeriods(option: string, text: string): Periods {
  const periods: { -readonly [Name in keyof Periods]: Periods[Name] } = {
    instant: null,
    block: null,
    list: null,
  };
  for (const [name, value] of pairs(text)) {
    const kind = known(option, name, ["instant", "block", "list"] as const);
    periods[kind] = secondsOf(option, kind, value);
  }
  return periods;
}

function secondsOf(option: string, kind: string, text: string | null): number {
  if (text === "off") return 0;
  try {
    const seconds = parseDuration(text ?? "") / 1_000;
    if (Number.isInteger(seconds) && seconds > 0) return seconds;
  } catch {
    // Said below, with the name of the option.
  }
  throw new UserError(EXIT.usage, `${option}: write ${kind}=15m, or ${kind}=off`);
}

/** What push setups say of deliveries. */
export interface PushSetupTimes {
  readonly randomisationMs?: number;
  readonly retries?: number;
  readonly repetitionMs?: number;
}

const RETRIES_MAX = 255;

/** `randomisation=60s,retries=3,repetition=10s` */
export function parsePushSetup(option: string, text: string): PushSetupTimes {
  let times: PushSetupTimes = {};
  for (const [name, value] of pairs(text)) {
    const kind = known(option, name, ["randomisation", "retries", "repetition"] as const);
    if (kind === "retries") {
      const retries = Number(value);
      if (!(value !== null && Number.isInteger(retries) && retries >= 0 && retries <= RETRIES_MAX)) {
        throw new UserError(EXIT.usage, `${option}: write retries=3; at most ${RETRIES_MAX}`);
      }
      times = { ...times, retries };
    } else times = { ...times, [`${kind}Ms`]: secondsOf(option, kind, value) * 1_000 };
  }
  return times;
}
