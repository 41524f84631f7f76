import { EXIT } from "../exit.ts";

export interface Signals {
  /** Resolves with the first SIGTERM or SIGINT: the end in order. */
  readonly first: Promise<string>;
  close(): void;
}

/** The first SIGTERM or SIGINT ends in order; the second at once, after `onSecond` had its say. */
export function watchSignals(onSecond: (signal: string) => void): Signals {
  let count = 0;
  const listeners: (() => void)[] = [];
  const first = new Promise<string>((resolve) => {
    for (const signal of ["SIGTERM", "SIGINT"] as const) {
      const listener = () => {
        count++;
        if (count === 1) return resolve(signal);
        onSecond(signal);
        process.exit(EXIT.unavailable);
      };
      process.on(signal, listener);
      listeners.push(() => process.off(signal, listener));
    }
  });
  return {
    first,
    close: () => {
      for (const remove of listeners) remove();
    },
  };
}
