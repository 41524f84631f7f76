import type { UnknownFrame, UnknownFrameStore } from "../storage/ingest-stores.ts";
import type { Log } from "./dependencies.ts";

/** Octets kept in memory until they are written. */
const BYTES_MAX = 4_194_304;

/**
 * Frames of which nobody knows the meter or the key, on their way to the bounded ring in the database: written every few seconds, and
 * of one source never more than the ring holds, so that a flood costs a few rows and not one per frame.
 */
export class UnknownFrames {
  private readonly store: UnknownFrameStore;
  private readonly log: Log;
  private readonly perSourceMax: number;
  private frames = new Map<string, UnknownFrame[]>();
  private bytes = 0;

  constructor(store: UnknownFrameStore, perSourceMax: number, log: Log) {
    this.store = store;
    this.perSourceMax = perSourceMax;
    this.log = log;
  }

  /** `frame.apdu` must not be a view. */
  add(frame: UnknownFrame): void {
    if (this.bytes + frame.apdu.length > BYTES_MAX) return;
    const ring = this.frames.get(frame.source);
    this.bytes += frame.apdu.length;
    if (ring === undefined) {
      this.frames.set(frame.source, [frame]);
      return;
    }
    ring.push(frame);
    if (ring.length > this.perSourceMax) this.bytes -= ring.shift()!.apdu.length;
  }

  async flush(): Promise<void> {
    if (this.frames.size === 0) return;
    const frames = [...this.frames.values()].flat();
    this.frames = new Map();
    this.bytes = 0;
    try {
      await this.store.keep(frames);
    } catch (error) {
      for (const frame of frames) this.add(frame);
      this.log.debug({ err: error }, "frames of unknown meters could not be written yet");
    }
  }
}
