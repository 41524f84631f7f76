import type { HdlcAddress } from "./address.ts";
import {
  informationControl,
  RECEIVE_NOT_READY_FINAL,
  RECEIVE_READY_FINAL,
  UI_CONTROL,
  UI_CONTROL_NOT_FINAL,
} from "./control.ts";
import { writeHdlcFrame } from "./frame.ts";

/** LLC header in front of commands, client to server. */
export const LLC_COMMAND = Buffer.from([0xe6, 0xe6, 0x00]);
/** LLC header in front of responses and pushes, server to client. */
export const LLC_RESPONSE = Buffer.from([0xe6, 0xe7, 0x00]);

export interface HdlcEnds {
  readonly destination: HdlcAddress;
  readonly source: HdlcAddress;
}

/** RR with N(R): everything before that number has arrived. */
export function writeReceiveReady(ends: HdlcEnds, receiveSequence: number): Buffer {
  return writeHdlcFrame({ ...ends, control: ((receiveSequence & 7) << 5) | RECEIVE_READY_FINAL });
}

/** RNR with N(R): everything before that number has arrived, and nothing more can be taken for now. An RR ends it. */
export function writeReceiveNotReady(ends: HdlcEnds, receiveSequence: number): Buffer {
  return writeHdlcFrame({ ...ends, control: ((receiveSequence & 7) << 5) | RECEIVE_NOT_READY_FINAL });
}

/**
 * An APDU as the frames that carry it, each with its flags: one where its information field fits into
 * `informationOctetsMax`, else segments. `numbering` "ui" sends UI frames only; a number sends I frames from that N(S)
 * on, with N(R) 0.
 */
export function writeApdu(
  ends: HdlcEnds,
  llc: Buffer,
  apdu: Buffer,
  informationOctetsMax: number,
  numbering: "ui" | number = "ui",
): Buffer[] {
  const information = Buffer.concat([llc, apdu]);
  const frames: Buffer[] = [];
  for (let at = 0; at < information.length; at += informationOctetsMax) {
    const segmented = at + informationOctetsMax < information.length;
    const control =
      numbering === "ui"
        ? segmented
          ? UI_CONTROL_NOT_FINAL
          : UI_CONTROL
        : informationControl(numbering + frames.length, 0, true);
    const part = information.subarray(at, at + informationOctetsMax);
    frames.push(writeHdlcFrame({ ...ends, segmented, control, information: part }));
  }
  return frames;
}
