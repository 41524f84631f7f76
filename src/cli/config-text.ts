import { stringify } from "smol-toml";
import { z } from "zod";
import type { LoadedConfig } from "../config.ts";
import type { Setting } from "../setting.ts";
import { SECTIONS, SETTINGS } from "../settings.ts";

const MASK = "********";
const WIDTH = 100;

/** The whole configuration as commented TOML: what it is, and where each value came from. Loads again as it is printed. */
export function printToml({ values }: LoadedConfig): string {
  const lines = ["# Configuration of dlms-hes. Lines that begin with # are defaults.", ""];
  let section = "";
  for (const [key, setting] of SETTINGS) {
    const [own, name] = split(key);
    if (own !== section) {
      section = own;
      lines.push(`# ${SECTIONS[own]}`, `[${own}]`, "");
    }
    const { value, origin } = values.get(key)!;
    const isDefault = origin === "default";
    lines.push(...comment(setting), ...(isDefault ? [] : [`# from ${origin}`]));
    lines.push(`${isDefault ? "# " : ""}${name} = ${shown(setting, value)}`, "");
  }
  return lines.join("\n");
}

/** Effective values and origins for programs; secrets masked. */
export function printJson({ values }: LoadedConfig): string {
  const entries = [...values].map(([key, { value, origin }]) => {
    const secret = SETTINGS.get(key)!.secret && value !== "";
    return [key, { value: secret ? maskSecret(String(value)) : value, origin }];
  });
  return JSON.stringify(Object.fromEntries(entries), null, 2);
}

/** JSON Schema of the TOML file. */
export function jsonSchema(): unknown {
  const properties: Record<string, unknown> = {};
  for (const [key, setting] of SETTINGS) {
    const [section, name] = split(key);
    const target = section === "" ? properties : sectionProperties(properties, section);
    target[name] = settingSchema(setting);
    if (setting.secret) target[`${name}_file`] = { type: "string", description: `File that holds ${key}.` };
  }
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: "Configuration of dlms-hes",
    type: "object",
    additionalProperties: false,
    properties,
  };
}

function settingSchema(setting: Setting<unknown>): unknown {
  const { $schema: _, ...schema } = z.toJSONSchema(setting.schema, { io: "input" });
  const unit = setting.unit ? ` Unit: ${setting.unit}.` : "";
  return { ...schema, default: setting.fallback, description: setting.description + unit };
}

function sectionProperties(properties: Record<string, unknown>, section: string): Record<string, unknown> {
  properties[section] ??= {
    type: "object",
    description: SECTIONS[section],
    additionalProperties: false,
    properties: {},
  };
  return (properties[section] as { properties: Record<string, unknown> }).properties;
}

/** docs/reference/configuration.md. A test compares the file with this. */
export function referencePage(): string {
  const lines = [
    "# Configuration",
    "",
    "Generated from `src/settings.ts`: run `npm test -- -u test/cli/config.test.ts` after a change there.",
    "",
    "Settings come from a TOML file (`hes --config FILE …`, or `HES_CONFIG`), then from the environment, which wins: `database.pool_max` is",
    '`HES_DATABASE__POOL_MAX`. Lists in the environment are TOML (`["[::]:4059"]`) or separated by commas. A secret may stand in a file of its',
    "own, named by its key with `_file` (`database.url_file`, `HES_DATABASE__URL_FILE`). Unknown keys are errors. `hes config print` shows the",
    "whole configuration and where each value came from, `hes config check` only says what is wrong, `hes config schema` prints a JSON Schema.",
    "",
  ];
  let section: string | null = null;
  for (const [key, setting] of SETTINGS) {
    const [own] = split(key);
    if (own !== section) {
      section = own;
      const title = own === "" ? "Top level" : `[${own}]`;
      const about = own === "" ? [] : [`${SECTIONS[own]}.`, ""];
      lines.push(`## ${title}`, "", ...about, "| key | default | unit | meaning |", "|---|---|---|---|");
    }
    const standard = setting.fallbackText ?? `\`${literal(setting.fallback)}\``;
    const cells = [`\`${key}\``, standard, setting.unit ?? "", meaning(setting)];
    lines.push(`| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`);
    if (isLastOfSection(key)) lines.push("");
  }
  return lines.join("\n");
}

function meaning(setting: Setting<unknown>): string {
  const values = choices(setting);
  const described = values
    ? `${setting.description} One of ${values.map((v) => `\`${v}\``).join(", ")}.`
    : setting.description;
  return setting.secret ? `${described} Secret.` : described;
}

function isLastOfSection(key: string): boolean {
  const keys = [...SETTINGS.keys()];
  const next = keys[keys.indexOf(key) + 1];
  return next === undefined || split(next)[0] !== split(key)[0];
}

function split(key: string): [section: string, name: string] {
  const dot = key.indexOf(".");
  return dot < 0 ? ["", key] : [key.slice(0, dot), key.slice(dot + 1)];
}

function comment(setting: Setting<unknown>): string[] {
  const values = choices(setting);
  const parts = [setting.description];
  if (values) parts.push(`One of ${values.join(", ")}.`);
  if (setting.unit) parts.push(`Unit: ${setting.unit}.`);
  parts.push(`Default: ${setting.fallbackText ?? literal(setting.fallback)}.`);
  return wrapped(parts.join(" ")).map((line) => `# ${line}`);
}

function wrapped(text: string): string[] {
  const lines = [""];
  for (const word of text.split(" ")) {
    const line = lines.at(-1)!;
    if (line.length + word.length + 1 > WIDTH) lines.push(word);
    else lines[lines.length - 1] = line === "" ? word : `${line} ${word}`;
  }
  return lines;
}

function choices(setting: Setting<unknown>): string[] | null {
  return setting.schema instanceof z.ZodEnum ? (setting.schema.options as string[]) : null;
}

function shown(setting: Setting<unknown>, value: unknown): string {
  return setting.secret && value !== "" ? literal(maskSecret(String(value))) : literal(value);
}

const literal = (value: unknown): string => stringify({ value }).trim().slice("value = ".length);

/** Of a URL only the password is secret; of everything else, all. */
function maskSecret(value: string): string {
  if (!URL.canParse(value)) return MASK;
  const url = new URL(value);
  if (url.password !== "") url.password = MASK;
  for (const name of [...url.searchParams.keys()]) {
    if (/pass|key|secret|token/i.test(name)) url.searchParams.set(name, MASK);
  }
  return url.toString();
}
