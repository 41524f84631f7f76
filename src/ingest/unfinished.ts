/** A connection, and what it makes us keep. */
export interface Holder {
  /** Octets of frames and APDUs that have begun; 0 where it isn't the peer's doing that they don't end. */
  readonly unfinishedBytes: number;
  readonly isIdentified: boolean;
  hangUp(reason: "limit", text: string): void;
}

/**
 * What has begun and isn't whole is bounded for each connection, and thousands of them that end nothing would fill the memory all the same.
 * Where that is more than `bytesMax` together, those are hung up on that hold the most, strangers first. To be called every second or so.
 */
export function boundUnfinished(holders: Iterable<Holder>, bytesMax: number): void {
  let total = 0;
  const holding: { readonly holder: Holder; readonly bytes: number }[] = [];
  for (const holder of holders) {
    const bytes = holder.unfinishedBytes;
    if (bytes === 0) continue;
    total += bytes;
    holding.push({ holder, bytes });
  }
  if (total <= bytesMax) return;
  holding.sort((a, b) => Number(a.holder.isIdentified) - Number(b.holder.isIdentified) || b.bytes - a.bytes);
  for (const { holder, bytes } of holding) {
    holder.hangUp(
      "limit",
      `${bytes} octets begun and not ended, and over limits.undurable_total_bytes_max of all`,
    );
    total -= bytes;
    if (total <= bytesMax) return;
  }
}
