import type { SpoolFile } from "./files.ts";
import { parseRecords, recordOctets } from "./record.ts";
import { FIRST_RECORD, readSegmentName, type Segment } from "./segment.ts";
import type { SpoolOptions } from "./spool.ts";

export interface Recovered {
  /** Those with something to drain, or to keep, oldest first. */
  readonly segments: Segment[];
  /** First sequence that is free. */
  readonly next: number;
}

/**
 * Reads what an earlier run left behind, whatever ended it. A torn end is what a cut leaves, and was never acknowledged; damage with whole
 * records behind it is told, and the records behind it are kept.
 *
 * @param from records before this are applied
 */
export async function recoverSegments(options: SpoolOptions, from: number): Promise<Recovered> {
  const { files, observer } = options;
  const found = (await files.list())
    .map((name) => ({ name, read: readSegmentName(name) }))
    .filter(({ read }) => read !== null)
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  const segments: Segment[] = [];
  let next = Math.max(from, 1);
  for (const { name, read } of found) {
    const { first, nonce } = read!;
    const file = await files.open(name);
    const contents = await readContents(file, nonce, from, options.onRecovered);
    next = Math.max(next, first, contents.next);
    if (contents.damaged > 0) {
      const text = `${contents.damaged} octets of ${name} belong to no whole record; the records around them are kept`;
      observer.problem(text, new Error(text));
    }
    const { untrimmed } = contents;
    if (untrimmed > 0 || (options.onRetained !== undefined && contents.records > 0)) {
      segments.push({
        ...{ name, first, nonce, file, end: contents.end, next: contents.next, untrimmed, sealed: true },
        ...{ cursor: FIRST_RECORD, recovered: true, damaged: contents.damaged > 0 },
      });
      continue;
    }
    await file.close();
    if (contents.damaged > 0) await files.setAside(name);
    else await files.remove(name);
  }
  return { segments, next };
}

/** So few that none of them outlives its turn: meters wait while an outage's rest is read. */
const PARSED_AT_ONCE = 500;

interface Contents {
  readonly records: number;
  /** Those that aren't applied. */
  readonly untrimmed: number;
  readonly next: number;
  /** Behind the last whole record. */
  readonly end: number;
  /** Octets before the last whole record that belong to none. */
  readonly damaged: number;
}

async function readContents(
  file: SpoolFile,
  nonce: number,
  from: number,
  onRecovered: NonNullable<SpoolOptions["onRecovered"]> = () => undefined,
): Promise<Contents> {
  const octets = Buffer.allocUnsafe(await file.size());
  const got = await file.read(octets, 0);
  const contents = octets.subarray(0, got);
  let count = 0;
  let whole = 0;
  let end = FIRST_RECORD;
  let next = 0;
  let untrimmed = 0;
  for (let at = FIRST_RECORD; at < got; ) {
    const parsed = parseRecords(contents, nonce, PARSED_AT_ONCE, true, at);
    for (const { sequence, payload } of parsed.records) {
      onRecovered(payload, sequence < from);
      whole += recordOctets(payload);
      end = payload.byteOffset - octets.byteOffset + payload.length;
      next = Math.max(next, sequence + 1);
      if (sequence >= from) untrimmed++;
    }
    count += parsed.records.length;
    at = parsed.next;
  }
  return { records: count, untrimmed, next, end, damaged: end - FIRST_RECORD - whole };
}
