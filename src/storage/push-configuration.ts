import {
  configureMapping,
  type EventCodeRecord,
  type ListEntryRecord,
  type ListRecord,
  type MappingConfiguration,
  type MappingRecords,
  type MeterTypeRecord,
  type ObjectRecord,
  type ScalerRecord,
  type StatusBitRecord,
} from "../mapping/configuration.ts";
import type { Client, Database, Listener } from "./database.ts";
import { StorageError } from "./storage-error.ts";

/** Everything that the mapping is configured with, read in one snapshot. */
export async function loadMappingConfiguration(database: Database): Promise<MappingConfiguration> {
  return configureMapping(await loadMappingRecords(database));
}

function loadMappingRecords(database: Database): Promise<MappingRecords> {
  return database.transaction(async (client) => {
    await client.query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY");
    return mappingRecords(client);
  });
}

async function mappingRecords(client: Client): Promise<MappingRecords> {
  const rows = async <T>(sql: string): Promise<T[]> => (await client.query(sql)).rows as T[];
  const objects = await rows<ObjectRecord>(
    `SELECT id, code, class_id AS "classId", attribute, description, unit, data_type AS "dataType", destination_table AS "table",
            destination_column AS "column", profile_column AS "profileColumn"
       FROM obis_codes WHERE enabled ORDER BY id DESC`,
  );
  const meterTypes = await rows<MeterTypeRecord>(
    'SELECT name, category, interval_seconds AS "intervalSeconds" FROM meter_types',
  );
  const scalers = await rows<ScalerRecord>(
    'SELECT meter_type AS "meterType", obis_code AS code, attribute, scaler, unit FROM meter_type_scalers',
  );
  const events = await rows<EventCodeRecord>(
    `SELECT nullif(category, '') AS category, log, code, name, severity, clears_code AS clears FROM event_codes`,
  );
  const statusBits = await rows<StatusBitRecord>(
    `SELECT nullif(category, '') AS category, obis_code AS code, bit, name, severity FROM status_bits`,
  );
  const lists = await rows<Omit<ListRecord, "entries">>(
    `SELECT o.id, o.push_setup_id AS "setupId", o.name, s.logical_name AS "pushSetup",
            coalesce(o.meter_id, s.meter_id) AS "meterId", coalesce(o.meter_type, s.meter_type) AS "meterType",
            coalesce(o.category, s.category) AS category, o.profile_kind AS kind
       FROM push_objects o LEFT JOIN push_setups s ON s.id = o.push_setup_id
      WHERE o.enabled AND o.kind = 'push' AND coalesce(s.enabled, true) ORDER BY o.id`,
  );
  const entries = await rows<ListEntryRecord & { readonly list: number }>(
    `SELECT push_object_id AS list, class_id AS "classId", logical_name AS code, attribute, data_index AS "dataIndex"
       FROM push_object_entries ORDER BY push_object_id, position`,
  );
  const entriesOf = new Map<number, ListEntryRecord[]>();
  for (const { list, ...entry } of entries) {
    const known = entriesOf.get(list);
    if (known) known.push(entry);
    else entriesOf.set(list, [entry]);
  }
  return {
    objects,
    lists: lists.map((list) => ({ ...list, entries: entriesOf.get(list.id ?? 0) ?? [] })),
    meterTypes,
    scalers,
    events,
    statusBits,
  };
}

export interface WatchedConfiguration {
  current(): MappingConfiguration;
  /** Reads it again; concurrent calls share one reading that began after they asked. */
  reload(): Promise<void>;
  /**
   * How to see to it that what was committed before `sinceMs` is known: it is read again where it changed. null: what is known was read after
   * that.
   */
  renewal(sinceMs: number): (() => Promise<void>) | null;
  close(): Promise<void>;
}

/** Changes that come in one go, such as an import, are read once, this long after the first. */
const SETTLE_MS = 100;

export interface ConfigurationWatch {
  readonly onReload?: (outcome: { error: unknown } | { version: number }) => void;
  /** What was read, now and whenever it is read again. */
  readonly onRead?: (records: MappingRecords) => void;
  /** What it was, to begin with where the database is away. */
  readonly meanwhile?: () => Promise<MappingRecords | null>;
}

/** The mapping's configuration, read again whenever one of its tables changes. */
export async function watchMappingConfiguration(
  database: Database,
  watch: ConfigurationWatch = {},
): Promise<WatchedConfiguration> {
  const { onReload = () => undefined, onRead = () => undefined, meanwhile = async () => null } = watch;
  /** When the last reading began; what stands in for one was never new. */
  let readAtMs = Number.NEGATIVE_INFINITY;
  const load = async () => {
    const beganAtMs = Date.now();
    const records = await loadMappingRecords(database);
    readAtMs = beganAtMs;
    onRead(records);
    return configureMapping(records);
  };
  let configuration = await load().catch(async (error: unknown) => {
    if (!(error instanceof StorageError && error.retryable)) throw error;
    const records = await meanwhile();
    if (records === null) throw error;
    return configureMapping(records);
  });
  let reading: Promise<void> = Promise.resolve();
  let next: Promise<void> | null = null;
  /** Asked for and not through. */
  let readings = 0;
  const read = async () => {
    next = null;
    configuration = await load();
    onReload({ version: configuration.version });
  };
  const reload = (): Promise<void> => {
    if (next === null) {
      readings++;
      next = reading.then(read).finally(() => {
        readings--;
      });
      reading = next.catch(() => undefined);
    }
    return next;
  };
  let timer: NodeJS.Timeout | null = null;
  const changed = () => {
    timer ??= setTimeout(() => {
      timer = null;
      reload().catch((error: unknown) => onReload({ error }));
    }, SETTLE_MS).unref();
  };
  const listener: Listener = await database.listen("hes_configuration", changed, changed);
  // A round trip for each asker is cheap, and who sends what nobody explains doesn't have everything read again and again.
  const catchUp = async () => {
    await listener.caughtUp();
    const isBehind = timer !== null || readings > 0;
    if (isBehind) await reload();
  };
  return {
    current: () => configuration,
    reload,
    renewal: (sinceMs) => (readAtMs > sinceMs ? null : catchUp),
    close: async () => {
      if (timer) clearTimeout(timer);
      await listener.close();
      await reading;
    },
  };
}
