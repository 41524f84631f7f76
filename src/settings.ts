import { z } from "zod";
import { JETSTREAM_SETTINGS } from "./jetstream-settings.ts";
import { LIMIT_DESCRIPTIONS, limitUnit } from "./limit-descriptions.ts";
import { DEFAULT_LIMITS, type Limits } from "./limits.ts";
import { LINE_FRAMINGS } from "./line-framing.ts";
import { DEFAULT_PARTITION_DAYS } from "./partition-settings.ts";
import {
  DAILY_SOURCE_DAYS_MIN,
  DAILY_SOURCES,
  DEFAULT_RETENTION_DAYS,
  type RetainedTable,
} from "./retention-settings.ts";
import { choice, count, type Setting, setting, text } from "./setting.ts";
import { parseSocketAddress } from "./transports/address.ts";
import { parseAddressSet } from "./transports/address-set.ts";

const isTimeZone = (name: string): boolean => {
  try {
    new Intl.DateTimeFormat("en", { timeZone: name });
    return true;
  } catch {
    return false;
  }
};

const address = (mayBeEmpty: boolean) =>
  z.string().superRefine((text, context) => {
    if (mayBeEmpty && text === "") return;
    try {
      parseSocketAddress(text);
    } catch (error) {
      context.addIssue((error as Error).message);
    }
  });

const ADDRESS_OR_NETWORK = z.string().superRefine((text, context) => {
  try {
    parseAddressSet([text]);
  } catch (error) {
    context.addIssue((error as Error).message);
  }
});

const DATABASE_URL = z
  .string()
  .refine((text) => text === "" || /^postgres(ql)?:\/\/./.test(text), "it must begin with postgres://");

const SERIAL_LINE = z.strictObject({
  path: z.string().min(1),
  baud_rate: z.int().min(300).default(9600),
  data_bits: z.union([z.literal(7), z.literal(8)]).default(8),
  parity: z.enum(["none", "even", "odd"]).default("none"),
  stop_bits: z.union([z.literal(1), z.literal(2)]).default(1),
  framing: z.enum(LINE_FRAMINGS).default("auto"),
});

/** A serial line on which meters push; its defaults are 9600 baud, 8 data bits, no parity, one stop bit. */
export type SerialLineSetting = z.infer<typeof SERIAL_LINE>;

const IDENTIFIER = z
  .string()
  .regex(/^[a-z_][a-z0-9_]{0,62}$/, "a lower-case PostgreSQL identifier is needed, such as hes");

/**
 * Every setting of the daemon, declared once: its key, default, unit and meaning. The loader, `hes config print`, the JSON schema
 * and docs/reference/configuration.md are made from this table.
 */
export const OWN_SETTINGS = {
  data_dir: text("./data", "Directory of the embedded database, the spool and generated keys."),

  "listen.tcp": setting(
    z.array(address(false)),
    ["[::]:4059"],
    "TCP addresses that meters connect to, as host:port; [::] takes IPv4 too. HDLC and wrapper are told apart by their first octets.",
  ),
  "listen.udp": setting(
    z.array(address(false)),
    [],
    "UDP addresses that meters send to, one wrapper PDU a datagram.",
  ),
  "listen.framing": setting(
    z.enum(LINE_FRAMINGS),
    "auto",
    "Framing on listen.tcp: auto tells by the first octets. Bridges that change octets can't be told: hdlc-noflags, hdlc-stuffed (7D escapes), hdlc-text-mode (0D 0A for 0A).",
  ),
  "listen.proxy_protocol": setting(
    z.array(ADDRESS_OR_NETWORK),
    [],
    "Addresses and networks of load balancers, as 10.0.0.5 or 10.0.0.0/24: connections on listen.tcp from there must begin with a PROXY protocol header, version 1 or 2, and count as the meter's whose address it gives.",
  ),
  "listen.serial": setting(
    z.array(SERIAL_LINE),
    [],
    "Serial lines on which meters push in HDLC: { path, baud_rate, data_bits, parity, stop_bits, framing }.",
  ),

  "database.url": setting(
    DATABASE_URL,
    "",
    "PostgreSQL 15 or newer, with or without TimescaleDB: postgres://user@host:5432/hes.",
    {
      secret: true,
      fallbackText: "an embedded PostgreSQL under data_dir, for trying out and small sites",
    },
  ),
  "database.password": text("", "Password for database.url, so that the URL itself needs to hold none.", {
    secret: true,
    fallbackText: "the one in database.url, if any",
  }),
  "database.keys_url": setting(
    DATABASE_URL,
    "",
    "The same database as a role that may read keys and secrets: for polls, and for all commands but migrate. See docs/operating/security.md.",
    { secret: true, fallbackText: "database.url" },
  ),
  "database.migrate_url": setting(
    DATABASE_URL,
    "",
    "The same database as the role that owns its tables: for migrations, partitions and retention.",
    { secret: true, fallbackText: "database.keys_url, whose role can't migrate where it isn't the owner" },
  ),
  "database.schema": setting(
    IDENTIFIER,
    "hes",
    "Schema of the operational tables; meters, meter_readings and meter_events are in public.",
  ),
  "database.pool_max": count(8, "connections", "Connections to PostgreSQL that are open at once.", 2),

  "database.partition_days": count(
    DEFAULT_PARTITION_DAYS,
    "days",
    "Width of partitions and TimescaleDB chunks that are made from now on. The indexes of the newest must fit into memory, and pushes slow down as they grow.",
  ),
  "database.compress_after_days": count(
    14,
    "days",
    "TimescaleDB: chunks that are older go to the columnstore. 0: never.",
    0,
  ),

  "durable_log.kind": choice(
    ["spool", "jetstream"],
    "spool",
    "Where an accepted push is safe before it is acknowledged: spool, segments on the local disk; jetstream, streams of NATS JetStream that several daemons share.",
  ),
  "spool.dir": text("", "Directory of the local spool; each daemon needs one of its own.", {
    fallbackText: "data_dir/spool",
  }),
  "spool.bytes_max": count(
    4_294_967_296,
    "octets",
    "Bound of the spool: a warning at 80 %, and at 95 % meters are no longer read from. An hour of 1000 pushes a second is about 1.3 GB.",
    67_108_864,
  ),

  ...JETSTREAM_SETTINGS,

  "http.listen": setting(
    address(true),
    "127.0.0.1:8059",
    "Address of /livez, /readyz, /healthz, /metrics and /version; empty: no HTTP.",
  ),

  "security.kek_file": text(
    "",
    "File with the key-encryption key that meters' keys are sealed with, former ones below it; created with mode 0400 where it is missing and nothing is sealed yet.",
    { fallbackText: "data_dir/kek" },
  ),
  "security.kek_credential": text(
    "",
    "Name of the systemd credential that holds the key-encryption key (LoadCredential=NAME:FILE in the unit); taken instead of security.kek_file, and never created.",
  ),
  "security.unknown_meters": choice(
    ["quarantine", "refuse", "register"],
    "quarantine",
    "What happens to pushes of a meter that nobody imported: kept aside for `hes meters adopt`, refused, or the meter is registered.",
  ),
  "security.counter_jump_max": count(
    2 ** 24,
    "counts",
    "A frame without a tag whose invocation counter is further ahead than this goes to quarantine.",
  ),

  "polling.polls_max": count(
    50,
    "polls",
    "Polls that this daemon makes at the same time; a quarter of them at most fills gaps. 0: it fires schedules and polls nothing.",
    0,
  ),
  "polling.client_sap": count(
    32,
    "client SAP",
    "Association of polls whose schedule entry names none: 32 is the meter reader of IS 15959. A meter without it is read by its lowest that isn't public.",
  ),
  "polling.step_rows": count(
    384,
    "rows",
    "Rows of a load profile that are asked for at once; each such step is stored before the next.",
  ),
  "polling.first_read_days": count(
    3,
    "days",
    "How far back a load profile is read of a meter of which nothing is stored.",
  ),
  "polling.fill_gaps": setting(
    z.boolean(),
    true,
    "Whether missing captures are read by themselves, at low priority; they are looked for in either case.",
  ),
  "polling.gap_grace_minutes": count(
    60,
    "minutes",
    "A capture is missing when it isn't here so long after its time.",
  ),
  "polling.memory_days": count(
    35,
    "days",
    "How long a meter is taken to keep captures where it doesn't say so itself; an older gap is given up.",
  ),
  "polling.system_title": setting(
    z.string().regex(/^[0-9a-fA-F]{16}$/, "16 hex digits are needed: three letters and a number"),
    "4845530000000001",
    "System title with which we introduce ourselves to meters. Head-ends that use the same keys without sharing a database need different ones.",
  ),
  "polling.associations_max": count(1_000, "associations", "Associations with meters that are open at once."),
  "polling.per_host_max": count(8, "associations", "Of them with meters behind one address."),
  "polling.per_network_max": count(500, "associations", "Of them with meters in one network (/24, /64)."),
  "polling.per_host_interval_ms": count(0, "ms", "Least time between two that begin with one address.", 0),
  "polling.connect_ms": count(15_000, "ms", "Time in which a meter that is dialled must take the call."),
  "polling.response_ms": count(15_000, "ms", "Time for a meter's answer to one request."),
  "polling.retries": count(2, "times", "How often an HDLC frame without an answer is sent again.", 0),
  "polling.hdlc_window": setting(
    z.number().int().min(1).max(7),
    1,
    "HDLC frames, 1 to 7, that either side may send before it waits for the other; a meter may agree to fewer.",
  ),
  "polling.max_pdu_bytes": count(
    1_024,
    "octets",
    "Longest APDU that a meter may send; longer answers come in blocks.",
    64,
  ),
  "polling.counter_block": count(
    500,
    "counters",
    "Invocation counters of ours that are reserved at once: a crash skips what is left of them.",
  ),
  "polling.serial": setting(
    z.array(SERIAL_LINE.omit({ framing: true })),
    [],
    "Serial lines on which meters are polled, where they aren't 9600 baud, 8N1: { path, baud_rate, data_bits, parity, stop_bits }.",
  ),

  "clock.tolerance_seconds": count(
    10,
    "seconds",
    "A meter's clock that is off by no more is in order and left alone.",
  ),
  "clock.step_max_seconds": count(
    600,
    "seconds",
    "A meter's clock that is off by more is not set unless that is forced: a large step moves or doubles load profile blocks, and it may be this machine that is wrong.",
  ),

  "time.zone": setting(
    z.string().refine(isTimeZone, "an IANA time zone is needed, such as Asia/Kolkata"),
    "Asia/Kolkata",
    "Zone of days, schedules, and meters whose clocks give no deviation.",
  ),

  "log.level": choice(
    ["fatal", "error", "warn", "info", "debug", "trace", "silent"],
    "info",
    "Least severe level that is written.",
  ),
  "log.format": choice(
    ["auto", "json", "text"],
    "auto",
    "json: one object a line. auto: text on a terminal, else json.",
  ),
};

/** `frame_ms` of `frameMs`, as it stands in the configuration. */
export const snake = (name: string): string => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

/** `limits.connections_max` → `connectionsMax`; the part after the last dot in the case of TypeScript. */
export const camel = (name: string): string =>
  name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());

const limitSettings = (Object.keys(LIMIT_DESCRIPTIONS) as (keyof Limits)[]).map(
  (name) =>
    [
      `limits.${snake(name)}`,
      count(DEFAULT_LIMITS[name], limitUnit(name), LIMIT_DESCRIPTIONS[name]),
    ] as const,
);

const retentionDays = (table: string) =>
  DAILY_SOURCES.includes(table)
    ? z
        .int()
        .min(0)
        .refine(
          (days) => days === 0 || days >= DAILY_SOURCE_DAYS_MIN,
          `0 (for ever) or at least ${DAILY_SOURCE_DAYS_MIN}: the daily load profile is made of these rows`,
        )
    : z.int().min(0);

const retentionSettings = (Object.keys(DEFAULT_RETENTION_DAYS) as RetainedTable[]).map(
  (table) =>
    [
      `retention.${table}`,
      setting(
        retentionDays(table),
        DEFAULT_RETENTION_DAYS[table],
        `How long rows of ${table} are kept; 0: for ever.`,
        { unit: "days" },
      ),
    ] as const,
);

/** All settings by key, in the order in which they are shown. */
export const SETTINGS: ReadonlyMap<string, Setting<unknown>> = new Map<string, Setting<unknown>>([
  ...Object.entries(OWN_SETTINGS as Record<string, Setting<unknown>>),
  ...retentionSettings,
  ...limitSettings,
]);

/** What each section is about; shown above its settings. */
export const SECTIONS: Readonly<Record<string, string>> = {
  listen: "Where meters are heard",
  database: "Where their values are kept",
  durable_log: "What makes an accepted push safe",
  spool: "The local spool",
  jetstream: "The durable log of several daemons",
  http: "Health and metrics",
  security: "Keys and strangers",
  polling: "What is read from meters, when and how",
  clock: "Meters' clocks",
  time: "Days and clocks",
  log: "The daemon's own log, on standard error",
  retention: "How long rows are kept. Tables without a key are kept for ever",
  limits: "Bounds on everything that is received",
};

type Camel<S extends string> = S extends `${infer Head}_${infer Tail}`
  ? `${Head}${Capitalize<Camel<Tail>>}`
  : S;
type Own = typeof OWN_SETTINGS;
type Value<S> = S extends Setting<infer T> ? T : never;
type SectionName = keyof Own extends infer K ? (K extends `${infer S}.${string}` ? S : never) : never;

/** The configuration, `database.pool_max` being `config.database.poolMax`. */
export type Config = {
  readonly [K in keyof Own as K extends `${string}.${string}` ? never : Camel<K>]: Value<Own[K]>;
} & {
  readonly [S in SectionName as Camel<S>]: {
    readonly [K in keyof Own as K extends `${S}.${infer Rest}` ? Camel<Rest> : never]: Value<Own[K]>;
  };
} & { readonly limits: Limits; readonly retention: Readonly<Record<Camel<RetainedTable>, number>> };
