import type { Clock } from "../clock.ts";
import type { MeterRecord } from "../storage/meter-record.ts";
import { type AcknowledgedBy, acknowledgements, notYet } from "./acknowledge.ts";
import type { ReceivedApdu } from "./received-apdu.ts";
import type { Sender } from "./underway.ts";

/** As much of a session as the sender of one of its APDUs needs. */
export interface SendersLine extends Pick<Sender, "accepted" | "settled"> {
  reply(octets: Buffer): void;
  /** The same for an acknowledgement. */
  acknowledge(octets: Buffer): void;
}

/** Who has sent one APDU over a connection, and is told there what becomes of it. */
export class PushSender implements Sender {
  private readonly by: AcknowledgedBy;
  private readonly line: SendersLine;
  private readonly patience: { readonly clock: Clock; readonly durableMs: number };
  private cancelNotYet = () => {};

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
    this.sayWhenLate();
  }

  durable(confirm: number | null, inTime: boolean): void {
    this.cancelNotYet();
    for (const answer of acknowledgements(this.by, confirm, inTime)) this.line.acknowledge(answer);
  }

  settled(bytes: number): void {
    this.cancelNotYet();
    this.line.settled(bytes);
  }

  /** RNR, where the line knows it, for a push that isn't durable in time. It is no longer said when it is. */
  private sayWhenLate(): void {
    const answer = notYet(this.by);
    if (answer === null) return;
    const { clock, durableMs } = this.patience;
    this.cancelNotYet = clock.after(durableMs, () => this.line.reply(answer));
  }
}
