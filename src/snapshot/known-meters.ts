import { type FileHandle, open } from "node:fs/promises";
import type { StoredKey } from "../storage/meter-keys.ts";
import type { MeterLookup, StoredMeter } from "../storage/meters.ts";
import { appendLines, isMissing, parseLine, readLines, replaceLines } from "./line-file.ts";

const FORMAT = { file: "meters", version: 1 };

interface Place {
  readonly offset: number;
  readonly length: number;
}

/** Where the meters' lines stand, by what they are looked up by. */
interface Index {
  readonly places: Map<string, Place>;
  /** Ids of meters by `<look-up>|<value>`. */
  readonly names: Map<string, string[]>;
}

type MeterLine = { gone: string } | { meter: StoredMeter["meter"]; keys: unknown[]; certificates: string[] };

/**
 * All active meters in a file, a line each with the envelopes of its keys; a later line of a meter takes the place of an earlier one. Only
 * an index of it is held in memory, and only after it was asked for.
 */
export class KnownMeters {
  private readonly path: string;
  private index: Promise<Index | null> | null = null;
  private readonly ids = new Set<string>();
  private appended = 0;

  constructor(path: string) {
    this.path = path;
  }

  /** Meters in the file, as far as it was written or read by this daemon. */
  get count(): number {
    return this.ids.size;
  }

  /** Whether so much was appended that it is better written anew. */
  get isLong(): boolean {
    return this.appended > this.ids.size / 2 + 1_000;
  }

  async exists(): Promise<boolean> {
    return (await this.indexed()) !== null;
  }

  /** Whether any meter has a key in its envelope. */
  async haveKeys(): Promise<boolean> {
    if (!(await this.exists())) return false;
    const sealed = new Set<string>();
    for await (const { value } of readLines(this.path)) {
      const line = value as MeterLine | typeof FORMAT;
      if ("gone" in line) sealed.delete(line.gone);
      else if ("meter" in line) {
        if (line.keys.length > 0) sealed.add(line.meter.id);
        else sealed.delete(line.meter.id);
      }
    }
    return sealed.size > 0;
  }

  async replace(pages: AsyncIterable<readonly StoredMeter[]>): Promise<void> {
    const { ids } = this;
    ids.clear();
    async function* lines() {
      yield FORMAT;
      for await (const page of pages)
        for (const stored of page) {
          ids.add(stored.meter.id);
          yield lineOfMeter(stored);
        }
    }
    await replaceLines(this.path, lines());
    this.index = null;
    this.appended = 0;
  }

  /** Meters that have changed, and ids of those that are no longer there. */
  async append(changed: readonly StoredMeter[], gone: readonly string[]): Promise<void> {
    await appendLines(this.path, [...changed.map(lineOfMeter), ...gone.map((id) => ({ gone: id }))]);
    this.index = null;
    this.appended += changed.length + gone.length;
    for (const { meter } of changed) this.ids.add(meter.id);
    for (const id of gone) this.ids.delete(id);
  }

  /** null: there is no such file, and nothing is known of any meter. */
  async find(by: MeterLookup, values: readonly string[]): Promise<StoredMeter[] | null> {
    const index = await this.indexed();
    if (index === null) return null;
    const ids = new Set(
      values.flatMap((value) => (by === "id" ? [value] : (index.names.get(`${by}|${value}`) ?? []))),
    );
    const places = [...ids].flatMap((id) => index.places.get(id) ?? []);
    if (places.length === 0) return [];
    const file = await open(this.path, "r");
    try {
      const found: StoredMeter[] = [];
      for (const place of places) found.push(await readMeter(file, place));
      return found;
    } finally {
      await file.close();
    }
  }

  private indexed(): Promise<Index | null> {
    this.index ??= this.readIndex().catch((error: unknown) => {
      this.index = null;
      throw error;
    });
    return this.index;
  }

  private async readIndex(): Promise<Index | null> {
    const index: Index = { places: new Map(), names: new Map() };
    let isFirst = true;
    try {
      for await (const { value, ...place } of readLines(this.path)) {
        if (isFirst && JSON.stringify(value) !== JSON.stringify(FORMAT)) return null;
        if (!isFirst) note(index, value as MeterLine, place);
        isFirst = false;
      }
    } catch (error) {
      if (isMissing(error)) return null;
      throw error;
    }
    for (const id of index.places.keys()) this.ids.add(id);
    return isFirst ? null : index;
  }
}

function note({ places, names }: Index, line: MeterLine, place: Place): void {
  if ("gone" in line) {
    places.delete(line.gone);
    return;
  }
  const { id, systemTitle, meterNumber, logicalDeviceName, host } = line.meter;
  places.set(id, place);
  // A name that a meter bore before stays: who asks compares.
  for (const [by, value] of [
    ["system_title", systemTitle],
    ["identifier", meterNumber],
    ["identifier", logicalDeviceName],
    ["host", host],
  ]) {
    if (value === null) continue;
    const name = `${by}|${value}`;
    const known = names.get(name);
    if (known === undefined) names.set(name, [id]);
    else if (!known.includes(id)) known.push(id);
  }
}

function lineOfMeter({ meter, keys, certificates }: StoredMeter): MeterLine {
  return {
    meter,
    keys: keys.map((key) => ({ ...key, envelope: key.envelope.toString("base64") })),
    certificates: certificates.map((der) => der.toString("base64")),
  };
}

async function readMeter(file: FileHandle, { offset, length }: Place): Promise<StoredMeter> {
  const octets = Buffer.alloc(length);
  await file.read(octets, 0, length, offset);
  const line = parseLine(octets.toString("utf8")) as Exclude<MeterLine, { gone: string }> | undefined;
  if (line === undefined) throw new Error("a line of the snapshot of meters has changed since it was read");
  return {
    meter: line.meter,
    keys: (line.keys as (Omit<StoredKey, "envelope"> & { envelope: string })[]).map((key) => ({
      ...key,
      envelope: Buffer.from(key.envelope, "base64"),
    })),
    certificates: line.certificates.map((der) => Buffer.from(der, "base64")),
  };
}
