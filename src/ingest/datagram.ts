import type { Limits } from "../limits.ts";
import { acknowledgements } from "./acknowledge.ts";
import { arrivalOf } from "./arrival.ts";
import { StreamDeframer } from "./deframer.ts";
import type { Intake } from "./intake.ts";
import type { IngestObserver } from "./observer.ts";
import type { ReceivedApdu } from "./received-apdu.ts";
import { ReceivedBlocks } from "./received-blocks.ts";
import type { Refusals } from "./refusals.ts";
import type { Sender } from "./underway.ts";

/** As much of a datagram as is needed here. */
export interface ReceivedDatagram {
  readonly octets: Buffer;
  readonly remoteAddress: string;
  readonly reply: (octets: Buffer) => void;
}

interface DatagramSurroundings {
  readonly intake: Intake;
  readonly refusals: Refusals;
  readonly observer: IngestObserver;
  readonly limits: Limits;
  readonly now: () => number;
}

/** Takes in what one datagram holds; a frame never goes on in the next one. Dropped where too much is not durable yet. */
export function takeDatagram(datagram: ReceivedDatagram, around: DatagramSurroundings): void {
  const { intake, refusals, observer, limits } = around;
  // Nothing can be left in a socket here, so what waits for a look-up counts as well.
  if (intake.undurableBytes + intake.waitingBytes > limits.undurableTotalBytesMax) {
    refusals.add(datagram.remoteAddress, "rate_limited", "too much is waiting for the database", null);
    return;
  }
  const deframer = new StreamDeframer({ framing: "auto", limits });
  deframer.push(datagram.octets, 0);
  const blocks = new ReceivedBlocks(limits);
  for (;;) {
    const next = deframer.next(0);
    if (next.kind === "need-more") {
      const deadline = deframer.deadline();
      if (deadline === null) break;
      // What is left over is lost, or was whole without saying so.
      deframer.handleTimeout(deadline);
    } else if (next.kind === "discarded") {
      observer.discarded(next.count);
      refusals.add(datagram.remoteAddress, next.reason, next.text, null);
    } else {
      observer.frameReceived(next.value.framing);
      const received = blocks.take(next.value, 0);
      if (received.kind === "complete") takeOne(received.value, datagram, around);
      else if (received.kind === "discarded") {
        refusals.add(datagram.remoteAddress, received.reason, received.text, null);
      }
    }
  }
  if (blocks.unfinished) {
    refusals.add(datagram.remoteAddress, "malformed", "the datagram ends within a block transfer", null);
  }
}

function takeOne(received: ReceivedApdu, datagram: ReceivedDatagram, around: DatagramSurroundings): void {
  const sender: Sender = {
    accepted: () => undefined,
    durable: (confirm, inTime) => {
      for (const answer of acknowledgements(received, confirm, inTime)) {
        datagram.reply(answer);
        around.observer.acknowledged();
      }
    },
    settled: () => undefined,
  };
  const from = { peer: datagram.remoteAddress, receivedAtMs: around.now(), lastMeter: null };
  const { framing, apdu } = received;
  // Copied: several APDUs of a datagram may wait for look-ups at the same time.
  const arrival = {
    ...arrivalOf(received, from),
    framing: `udp-${framing}`,
    apdu: Buffer.from(apdu),
  };
  around.intake.take(arrival, sender, () => undefined);
}
