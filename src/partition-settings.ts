/**
 * Days that partitions and chunks are wide unless the configuration says otherwise. What pushes cost grows with the indexes of the newest one, and of
 * a day they are the same for years (docs/adr/0011-partitions-of-a-day.md).
 */
export const DEFAULT_PARTITION_DAYS = 1;

/**
 * Days that TimescaleDB's chunks come to in the columnstore, at most: those of single days are put together there, because it compresses the rows of a
 * meter by the thousand, and a day has a tenth of that.
 */
export const COLUMNSTORE_CHUNK_DAYS = 7;
