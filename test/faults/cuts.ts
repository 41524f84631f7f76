import { ConfirmingMeters } from "./confirming-meters.ts";
import { exactly, type Figure } from "./figures.ts";
import { Installation } from "./installation.ts";
import type { LineKind } from "./push-lines.ts";
import { tally } from "./tally.ts";

export interface CutOptions {
  readonly meters: number;
  readonly seed: number;
  /** How often a line is cut at each octet. */
  readonly rounds: number;
}

/** More than any push of these meters has on its line. */
const OCTETS_MAX = 420;
const LINES: readonly LineKind[] = ["wrapper", "blocks", "hdlc"];

/**
 * Each push is sent up to an octet and the line is cut there, closed in one case and reset in the next; then it is sent whole: in one piece with a
 * wrapper's header, in the blocks of a general block transfer, and in the segments of HDLC. The octets are all that a push has on its line, and
 * one more: where the confirmation is what is lost.
 */
export async function cuts(options: CutOptions): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const line of LINES) {
    for (const figure of await cutsOf(line, options))
      figures.push({ ...figure, name: `${line}: ${figure.name}` });
  }
  return figures;
}

async function cutsOf(line: LineKind, { meters: count, seed, rounds }: CutOptions): Promise<Figure[]> {
  const installation = await Installation.make();
  const cutAt = new Set<number>();
  let longest = 0;
  try {
    const meters: ConfirmingMeters = new ConfirmingMeters({
      ...{ line, meters: count, pushesPerMeter: Math.ceil((rounds * (OCTETS_MAX + 1)) / count), seed },
      ...{ ratePerSecond: null, repeatMs: 10_000, onConfirmed: () => undefined },
      cut: (push, octets) => {
        longest = Math.max(longest, octets);
        const at = push % (OCTETS_MAX + 1);
        if (at > octets) return null;
        cutAt.add(at);
        return { at, reset: Math.floor(push / (OCTETS_MAX + 1) + push) % 2 === 0 };
      },
    });
    await installation.register(meters);
    await installation.startDaemon();
    await meters.run(installation.port);
    await installation.drained(120_000);
    // What ends in the middle of a frame is told as that.
    const { confirmed, lost, duplicated, unexpected, refused } = await tally(
      installation,
      meters,
      "malformed",
    );
    return [
      { name: "longest push", value: longest, unit: "octets" },
      exactly("octets after which a line was cut", cutAt.size, longest + 1),
      exactly("confirmed", confirmed, meters.sent.size),
      { name: "beginnings of frames told as malformed", value: refused },
      exactly("lost", lost, 0),
      exactly("duplicated", duplicated, 0),
      exactly("unexpected", unexpected, 0),
    ];
  } finally {
    await installation.remove();
  }
}
