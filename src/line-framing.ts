/**
 * What a line is set to. "auto": the first octets tell. HDLC through a bridge that changes octets can't be told and has to be set:
 * "hdlc-noflags" without flags, "hdlc-stuffed" with octet stuffing, "hdlc-text-mode" with 0D 0A for 0A and without check sequence.
 */
export const LINE_FRAMINGS = [
  "auto",
  "hdlc",
  "wrapper",
  "hdlc-noflags",
  "hdlc-stuffed",
  "hdlc-text-mode",
] as const;

export type LineFraming = (typeof LINE_FRAMINGS)[number];
