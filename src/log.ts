import { KeyObject } from "node:crypto";
import { type DestinationStream, type Logger, pino, stdSerializers } from "pino";
import { printable } from "./printable.ts";
import type { Config } from "./settings.ts";

export type Log = Logger;

/** Fields that may hold key material under any spelling: their values are never written. */
const SECRET_NAME =
  /^(guek|gak|gbek|kek|key|secret|password|dedicated|master_?key|key_?octets|plaintext|envelope)$/i;

/**
 * The daemon's own log. Objects first, then a sentence: `log.warn({ peer, reason }, "refused")`.
 * @param destination where to write; standard error where absent, so that standard output stays a command's own
 */
export function createLog(settings: Config["log"], destination?: DestinationStream): Log {
  const asText = settings.format === "text" || (settings.format === "auto" && process.stderr.isTTY === true);
  const raw = destination ?? pino.destination({ dest: 2, sync: true });
  return pino(
    {
      level: settings.level,
      base: null,
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      serializers: { err: stdSerializers.err, error: stdSerializers.err },
      formatters: {
        level: (label) => ({ level: label }),
        log: (fields) => withoutSecrets(fields),
      },
    },
    asText ? textStream(raw) : raw,
  );
}

/** Octets by their number, keys not at all, and nothing whose name says that it is secret. */
function withoutSecrets(fields: Record<string, unknown>, depth = 0): Record<string, unknown> {
  const shown: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(fields)) {
    if (SECRET_NAME.test(name) && value !== null && value !== undefined) shown[name] = "[secret]";
    else if (value instanceof KeyObject) shown[name] = "[key]";
    else if (value instanceof Uint8Array) shown[name] = `[${value.length} octets]`;
    else if (typeof value === "bigint") shown[name] = String(value);
    else if (isPlain(value) && depth < 4) shown[name] = withoutSecrets(value, depth + 1);
    else if (Array.isArray(value) && depth < 4) {
      shown[name] = value.map((item) => withoutSecrets({ item }, depth + 1)["item"]);
    } else shown[name] = value;
  }
  return shown;
}

const isPlain = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype;

/** For people at a terminal: time, level, sentence, then fields. */
function textStream(destination: DestinationStream): DestinationStream {
  return {
    write(line: string): void {
      const { level, time, msg, err, ...fields } = JSON.parse(line) as Record<string, unknown>;
      const rest = Object.entries(fields).map(([name, value]) => `${name}=${compact(value)}`);
      const failure = err as { stack?: string; message?: string } | undefined;
      const tail = failure ? `\n${failure.stack ?? failure.message}` : "";
      const head = `${String(time).slice(11, 23)} ${String(level).toUpperCase().padEnd(5)}`;
      destination.write(`${printable([head, msg ?? "", ...rest].join(" ") + tail)}\n`);
    },
  };
}

const compact = (value: unknown): string =>
  typeof value === "string" && /^[^\s"=]+$/.test(value) ? value : JSON.stringify(value);
