import type { Clock } from "../clock.ts";
import type { MeterRecord } from "../storage/meter-record.ts";
import { type AcknowledgedBy, acknowledgements, notYet } from "./acknowledge.ts";
import type { IFrame, IFrames } from "./i-frames.ts";
import type { ReceivedApdu } from "./received-apdu.ts";
import type { Sender } from "./underway.ts";

/** As much of a session as the sender of one of its APDUs needs. */
export interface SendersLine extends Pick<Sender, "accepted" | "settled"> {
  reply(octets: Buffer): void;
  /** The same for an acknowledgement. */
  acknowledge(octets: Buffer): void;
  /** Those that came over it. */
  readonly iFrames: IFrames;
}

/** Who has sent one APDU over a connection, and is told there what becomes of it. */
export class PushSender implements Sender {
  private readonly by: AcknowledgedBy;
  private readonly line: SendersLine;
  private readonly patience: { readonly clock: Clock; readonly durableMs: number };
  private cancelNotYet = () => {};
  /** null: it was not accepted, or did not come in an I frame. */
  private iFrame: IFrame | null = null;

  constructor(received: ReceivedApdu, line: SendersLine, patience: PushSender["patience"]) {
    const { framing, sourceAddress, destinationAddress, hdlc, gateway } = received;
    const by = { framing, sourceAddress, destinationAddress };
    const withHdlc = hdlc === undefined ? by : { ...by, hdlc };
    this.by = gateway === undefined ? withHdlc : { ...withHdlc, gateway };
    this.line = line;
    this.patience = patience;
  }

  accepted(meter: MeterRecord, bytes: number): void {
    this.line.accepted(meter, bytes);
    this.iFrame = this.line.iFrames.begin(this.by);
    this.sayWhenLate();
  }

  durable(confirm: number | null, inTime: boolean): void {
    this.cancelNotYet();
    for (const acknowledged of this.acknowledged())
      for (const answer of acknowledgements(acknowledged, confirm, inTime)) this.line.acknowledge(answer);
  }

  /** Of a link's I frames those that may be acknowledged now, among which this one need not be. */
  private acknowledged(): AcknowledgedBy[] {
    const { by, line } = this;
    const { hdlc } = by;
    // What is known already was not accepted once more.
    this.iFrame ??= line.iFrames.begin(by);
    if (hdlc === undefined || this.iFrame === null) return [by];
    return line.iFrames.safe(this.iFrame).map((sendSequence) => ({ ...by, hdlc: { ...hdlc, sendSequence } }));
  }

  settled(bytes: number): void {
    this.cancelNotYet();
    if (this.iFrame?.isSafe === false) this.line.iFrames.lost(this.iFrame);
    this.line.settled(bytes);
  }

  /**
   * RNR, where the line knows it, for a push that isn't durable in time. It is no longer said when it is, nor for one behind another: its number
   * would acknowledge that.
   */
  private sayWhenLate(): void {
    const { by, iFrame, line } = this;
    const answer = notYet(by);
    if (answer === null || iFrame === null) return;
    const { clock, durableMs } = this.patience;
    this.cancelNotYet = clock.after(durableMs, () => {
      if (line.iFrames.isOldest(iFrame)) line.reply(answer);
    });
  }
}
