/**
 * The control octet (IEC 62056-46, 6.4.3), P/F = bit 4.
 *
 * | frame | bits 7…0 | |
 * |---|---|---|
 * | I | RRR P SSS 0 | N(R), N(S) |
 * | RR, RNR | RRR P 0001, RRR P 0101 | N(R) |
 * | SNRM, DISC, UA, DM, FRMR, UI | 83, 43, 63, 0F, 87, 03 without P/F | |
 */
export type HdlcFrameType = "I" | "RR" | "RNR" | "SNRM" | "DISC" | "UA" | "DM" | "FRMR" | "UI" | "unknown";

const UNNUMBERED: Readonly<Record<number, HdlcFrameType>> = {
  131: "SNRM",
  67: "DISC",
  99: "UA",
  15: "DM",
  135: "FRMR",
  3: "UI",
};

export function frameType(control: number): HdlcFrameType {
  if ((control & 0x01) === 0) return "I";
  if ((control & 0x03) === 0x03) return UNNUMBERED[control & 0xef] ?? "unknown";
  if ((control & 0x0f) === 0x01) return "RR";
  return (control & 0x0f) === 0x05 ? "RNR" : "unknown";
}

/** Whether the frame is an I or a UI frame: those whose information field is (a part of) an APDU. */
export function carriesApdu(control: number): boolean {
  return (control & 0x01) === 0 || (control & 0xef) === 0x03;
}

export const isPollFinal = (control: number): boolean => (control & 0x10) !== 0;
/** N(S) of an I frame. */
export const sendSequence = (control: number): number => (control >> 1) & 7;
/** N(R) of an I, RR or RNR frame. */
export const receiveSequence = (control: number): number => control >> 5;

export const UI_CONTROL = 0x13;
export const UI_CONTROL_NOT_FINAL = 0x03;
export const RECEIVE_READY_FINAL = 0x11;
export const RECEIVE_NOT_READY_FINAL = 0x15;

export function informationControl(send: number, receive: number, pollFinal: boolean): number {
  return ((receive & 7) << 5) | (pollFinal ? 0x10 : 0) | ((send & 7) << 1);
}
