import { LRUCache } from "lru-cache";

export interface CacheOptions<V> {
  /** Milliseconds after which an entry counts as none. */
  readonly ttl?: number;
  /** Told of entries that leave. */
  readonly dispose?: (value: V, key: string) => void;
}

/**
 * A cache of `entriesMax` entries, of which the least recently used go first. It takes its room as it fills, unlike one that `max` lays out at
 * once: the daemon's together may hold half a million, and laying them out was a tenth of a second of every start.
 */
export function boundedCache<V extends NonNullable<unknown>>(
  entriesMax: number,
  options: CacheOptions<V> = {},
): LRUCache<string, V> {
  return new LRUCache<string, V>({ maxSize: entriesMax, sizeCalculation: () => 1, ...options });
}
