import type { Limits } from "./limits.ts";

/** What each limit protects; the numbers and units stand in limits.ts. */
export const LIMIT_DESCRIPTIONS: Record<keyof Limits, string> = {
  connectionsMax: "Connections open at once on all listeners.",
  firstFrameMs:
    "After accept, an unidentified connection must have sent its first complete frame within this time.",
  frameMs: "A frame that has started must be complete within this time.",
  idleUnidentifiedMs: "Idle time after which a connection without an identified meter is closed.",
  idleIdentifiedMs: "Idle time after which a known meter's connection is closed.",
  wrapperPayloadBytesMax: "Payload of one wrapper PDU; the format allows 65535.",
  hdlcFrameBytesMax: "One HDLC frame; the format allows 2047.",
  apduBytesMax: "An APDU put together from segments or blocks.",
  apduMs: "All segments or blocks of one APDU must have come within this time.",
  depthMax: "Nesting of arrays and structures.",
  pushElementsMax: "Elements of one push after compact-arrays are expanded.",
  pollElementsMax: "Elements of one polled result after compact-arrays are expanded.",
  pollBytesMax: "One polled result.",
  undurableConnectionBytesMax: "Received on one connection and not yet durable; reading pauses above it.",
  undurableTotalBytesMax:
    "Received on all connections and not yet durable; reading pauses above it, and who holds the most of frames that have begun and don't end is hung up on.",
  durableMs: "An accepted push must become durable within this time, or it is not acknowledged.",
  logLinesPerMinute: "Log lines about one source in a minute; the rest is counted and summed up.",
  quarantineFramesPerSource: "Frames of one source kept while its meter or key is unknown.",
  quarantineFramesMax: "Frames of all sources kept while their meters or keys are unknown.",
};

/** In words; names end in their unit. */
export function limitUnit(name: string): string {
  if (name.endsWith("Ms")) return "ms";
  if (name.includes("Bytes")) return "octets";
  if (name.startsWith("log")) return "lines";
  if (name.startsWith("quarantine")) return "frames";
  if (name.startsWith("connections")) return "connections";
  return name.startsWith("depth") ? "levels" : "elements";
}
