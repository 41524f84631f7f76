/**
 * Every limit of the daemon, in one place, with its unit in its name. Each is a configuration key `limits.<name>`.
 * Defaults are those of the security policy; see docs/operating/security.md for what each protects.
 */
export interface Limits {
  /** Connections open at once on all listeners. */
  readonly connectionsMax: number;
  /** Time after accept in which an unidentified connection must have sent its first complete frame. */
  readonly firstFrameMs: number;
  /** Time in which a started frame must be complete. */
  readonly frameMs: number;
  /** Idle time of a connection on which no meter has been identified. */
  readonly idleUnidentifiedMs: number;
  /** Idle time of a connection that belongs to a known meter. */
  readonly idleIdentifiedMs: number;
  /** Payload of one wrapper PDU; the format allows 65,535. */
  readonly wrapperPayloadBytesMax: number;
  /** HDLC frame from the format field to the FCS; the format allows 2,047. */
  readonly hdlcFrameBytesMax: number;
  /** APDU put together from segments or blocks. */
  readonly apduBytesMax: number;
  /** Time in which the segments or blocks of one APDU must all have come. */
  readonly apduMs: number;
  /** Nesting of arrays and structures. */
  readonly depthMax: number;
  /** Elements of one push, after compact-arrays are expanded. */
  readonly pushElementsMax: number;
  /** Elements of one polled result, after compact-arrays are expanded. */
  readonly pollElementsMax: number;
  /** Octets of one polled result. */
  readonly pollBytesMax: number;
  /** Octets received on one connection that are not yet durable. */
  readonly undurableConnectionBytesMax: number;
  /** Octets received on all connections that are not yet durable. */
  readonly undurableTotalBytesMax: number;
  /** Time in which an accepted push must become durable, or it is not acknowledged. */
  readonly durableMs: number;
  /** Log lines about one source in a minute; what exceeds it is counted and summed up. */
  readonly logLinesPerMinute: number;
  /** Frames of one source kept while its meter or key is unknown. */
  readonly quarantineFramesPerSource: number;
  /** Frames of all sources kept while their meters or keys are unknown. */
  readonly quarantineFramesMax: number;
}

export const DEFAULT_LIMITS: Limits = {
  connectionsMax: 16_000,
  firstFrameMs: 10_000,
  frameMs: 30_000,
  idleUnidentifiedMs: 180_000,
  idleIdentifiedMs: 3_600_000,
  wrapperPayloadBytesMax: 16_384,
  hdlcFrameBytesMax: 2_047,
  apduBytesMax: 262_144,
  apduMs: 60_000,
  depthMax: 16,
  pushElementsMax: 20_000,
  pollElementsMax: 200_000,
  pollBytesMax: 4_194_304,
  undurableConnectionBytesMax: 262_144,
  undurableTotalBytesMax: 67_108_864,
  durableMs: 2_000,
  logLinesPerMinute: 10,
  quarantineFramesPerSource: 64,
  quarantineFramesMax: 100_000,
};
