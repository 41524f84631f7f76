import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { parse as parseToml, TomlError } from "smol-toml";
import { EXIT, UserError } from "./exit.ts";
import type { Setting } from "./setting.ts";
import { type Config, camel, SETTINGS } from "./settings.ts";

/**
 * Reads the configuration: defaults, then a TOML file, then the environment (`HES_SECTION__KEY`). The only reader of the environment.
 * A secret may also be named by a file: `url_file` in TOML, `HES_DATABASE__URL_FILE` in the environment.
 */
export interface LoadedConfig {
  readonly config: Config;
  /** Every setting by key, in the order of SETTINGS. */
  readonly values: ReadonlyMap<string, { readonly value: unknown; readonly origin: string }>;
}

export type Environment = Readonly<Record<string, string | undefined>>;

interface Given {
  readonly value: unknown;
  readonly origin: string;
  /** The value is the path of a file that holds the secret. */
  readonly fromFile: boolean;
}

const PREFIX = "HES_";
/** Variables that begin as settings do and are none. */
const NOT_SETTINGS = new Set(["HES_CONFIG"]);

/** The environment of this process: for what systemd tells its services, and for HES_CONFIG. */
export const processEnvironment = (): Environment => process.env;

/**
 * Local time is UTC in this process from now on. Zones are named where they matter; and node-cron, given UTC as it is, computes by local time all
 * the same: in the hour that comes twice it never ends.
 */
export function liveInUtc(): void {
  process.env["TZ"] = "Etc/UTC";
}

/**
 * @param file path of a TOML file; undefined: HES_CONFIG of the environment, or none
 * @throws UserError with exit code 78 that lists all problems found
 */
export function loadConfig(file?: string, environment: Environment = process.env): LoadedConfig {
  const path = file ?? environment["HES_CONFIG"];
  const problems: string[] = [];
  const given = new Map<string, Given>();
  if (path) collectFile(path, given, problems);
  collectEnvironment(environment, given, problems);

  const values = new Map<string, { value: unknown; origin: string }>();
  for (const [key, setting] of SETTINGS) {
    const source = given.get(key);
    values.set(key, source ? effective(key, setting, source, problems) : fallback(setting));
  }
  if (problems.length > 0) {
    throw new UserError(EXIT.configuration, `The configuration can't be used:\n  ${problems.join("\n  ")}`);
  }
  return { config: shape(values), values };
}

const fallback = (setting: Setting<unknown>) => ({ value: setting.fallback, origin: "default" });

function effective(key: string, setting: Setting<unknown>, source: Given, problems: string[]) {
  let value = source.value;
  if (source.fromFile) {
    try {
      value = readFileSync(String(value), "utf8").trim();
    } catch (error) {
      problems.push(`${key}: ${source.origin} names a file that can't be read: ${(error as Error).message}`);
      return fallback(setting);
    }
  }
  const parsed = setting.schema.safeParse(value);
  if (parsed.success) return { value: parsed.data, origin: source.origin };
  for (const issue of parsed.error.issues) {
    const where = issue.path.length > 0 ? `${key} (${issue.path.join(".")})` : key;
    problems.push(`${where}: ${issue.message}; given by ${source.origin}`);
  }
  return fallback(setting);
}

function collectFile(path: string, given: Map<string, Given>, problems: string[]): void {
  let document: Record<string, unknown>;
  try {
    document = parseToml(readFileSync(path, "utf8"));
  } catch (error) {
    const why = error instanceof TomlError ? error.message.trimEnd() : (error as Error).message;
    throw new UserError(EXIT.configuration, `The configuration file ${path} can't be read: ${why}`);
  }
  const origin = `file ${path}`;
  for (const [name, value] of Object.entries(document)) {
    const isSection =
      typeof value === "object" && value !== null && !Array.isArray(value) && !SETTINGS.has(name);
    const entries = isSection
      ? Object.entries(value).map(([key, inner]) => [`${name}.${key}`, inner] as const)
      : [[name, value] as const];
    for (const [key, inner] of entries) accept(key, inner, origin, given, problems);
  }
}

function collectEnvironment(environment: Environment, given: Map<string, Given>, problems: string[]): void {
  for (const [name, value] of Object.entries(environment)) {
    if (!name.startsWith(PREFIX) || value === undefined || NOT_SETTINGS.has(name)) continue;
    const key = name.slice(PREFIX.length).toLowerCase().replace("__", ".");
    // Without a double underscore it may be some other program's variable: only what looks like ours is a mistake.
    if (!key.includes(".") && !SETTINGS.has(key) && nearest(key) === null) continue;
    const setting = SETTINGS.get(key);
    const problem = accept(key, value, `environment ${name}`, given, problems);
    if (problem || !setting) continue;
    given.set(key, { value: fromText(setting, value), origin: `environment ${name}`, fromFile: false });
  }
}

/** Notes a given value; true where the key is not one of ours. */
function accept(
  key: string,
  value: unknown,
  origin: string,
  given: Map<string, Given>,
  problems: string[],
): boolean {
  if (SETTINGS.has(key)) {
    given.set(key, { value, origin, fromFile: false });
    return false;
  }
  const named = key.endsWith("_file") ? key.slice(0, -"_file".length) : "";
  if (SETTINGS.get(named)?.secret) {
    given.set(named, { value, origin, fromFile: true });
    return false;
  }
  const near = nearest(key);
  const hint = near ? `did you mean ${near}?` : "`hes config print` shows every key";
  problems.push(`${key}: no such setting (${hint}); given by ${origin}`);
  return true;
}

/** A variable's text as the value that the setting wants; what doesn't parse is left to the schema to refuse. */
function fromText(setting: Setting<unknown>, value: string): unknown {
  if (Array.isArray(setting.fallback)) {
    if (/^\s*\[/.test(value)) return tomlValue(value);
    return value
      .split(",")
      .map((item) => item.trim())
      .filter((item) => item !== "");
  }
  if (typeof setting.fallback === "number" || typeof setting.fallback === "boolean") return tomlValue(value);
  return value;
}

function tomlValue(value: string): unknown {
  // "[::]:4059" begins as an array does and is an address.
  try {
    return parseToml(`value = ${value}`)["value"];
  } catch {
    return /^\s*\[[0-9a-fA-F:.%]*\]:/.test(value) ? value.split(",").map((item) => item.trim()) : value;
  }
}

/** The known key that `key` is most likely a slip of: within a third of its length in edits. */
export function nearest(key: string): string | null {
  let best: string | null = null;
  let bestDistance = Math.max(1, Math.floor(key.length / 3)) + 1;
  for (const known of SETTINGS.keys()) {
    const distance = Math.min(
      editDistance(key, known),
      editDistance(key, known.slice(known.indexOf(".") + 1)),
    );
    if (distance < bestDistance) {
      best = known;
      bestDistance = distance;
    }
  }
  return best;
}

function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = previous[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      row.push(Math.min(change, previous[j]! + 1, row[j - 1]! + 1));
    }
    previous = row;
  }
  return previous[b.length]!;
}

/** From keys and values to the object that the code uses: sections, TypeScript's case, empty paths filled in. */
function shape(values: ReadonlyMap<string, { value: unknown }>): Config {
  const root: Record<string, unknown> = {};
  for (const [key, { value }] of values) {
    const dot = key.indexOf(".");
    if (dot < 0) {
      root[camel(key)] = value;
      continue;
    }
    const section = camel(key.slice(0, dot));
    root[section] ??= {};
    (root[section] as Record<string, unknown>)[camel(key.slice(dot + 1))] = value;
  }
  const raw = root as unknown as Config;
  const dataDir = resolve(raw.dataDir);
  return {
    ...raw,
    dataDir,
    database: { ...raw.database, url: withPassword(raw.database.url, raw.database.password) },
    spool: { ...raw.spool, dir: raw.spool.dir ? resolve(raw.spool.dir) : resolve(dataDir, "spool") },
    security: {
      ...raw.security,
      kekFile: raw.security.kekFile ? resolve(raw.security.kekFile) : resolve(dataDir, "kek"),
    },
  };
}

function withPassword(url: string, password: string): string {
  if (url === "" || password === "") return url;
  if (!URL.canParse(url))
    throw new UserError(EXIT.configuration, "database.url is not a URL: postgres://user@host:5432/name");
  const parsed = new URL(url);
  parsed.password = password;
  return parsed.toString();
}
