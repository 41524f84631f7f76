import { type DemoSnapshot, drawTable, plainLine } from "./demo-view.ts";

export interface DemoScreen {
  show(snapshot: DemoSnapshot): void;
  close(): void;
}

const ALTERNATE = "\u001b[?1049h\u001b[?25l";
const NORMAL = "\u001b[?25h\u001b[?1049l";
const HOME = "\u001b[H";
const CLEAR_LINE = "\u001b[K";
const CLEAR_BELOW = "\u001b[J";
/** Between two lines where the output is no terminal. */
const PLAIN_EVERY_MS = 2_000;

/** Redraws one table in place on a terminal's other screen, so that it leaves nothing behind; else prints a line now and then. */
export function openScreen(output: NodeJS.WriteStream): DemoScreen {
  if (!output.isTTY) return plainScreen(output);
  output.write(ALTERNATE);
  return {
    show: (snapshot) => {
      const lines = drawTable(snapshot, output.columns ?? 80)
        .split("\n")
        .slice(0, Math.max(1, (output.rows ?? 24) - 1));
      output.write(`${HOME}${lines.map((line) => `${line}${CLEAR_LINE}`).join("\n")}${CLEAR_BELOW}`);
    },
    close: () => void output.write(NORMAL),
  };
}

function plainScreen(output: NodeJS.WriteStream): DemoScreen {
  let last = Number.NEGATIVE_INFINITY;
  return {
    show: (snapshot) => {
      if (snapshot.now - last < PLAIN_EVERY_MS) return;
      last = snapshot.now;
      output.write(`${plainLine(snapshot)}\n`);
    },
    close: () => {},
  };
}
