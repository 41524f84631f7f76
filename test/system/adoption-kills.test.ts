import { describe, expect, it } from "vitest";
import { adoption } from "../faults/adoption.ts";
import { TIMESCALEDB, warnOfMissing } from "../support/engines.ts";

warnOfMissing([TIMESCALEDB]);

describe.skipIf(!TIMESCALEDB.available)("`hes migrate --adopt-timescaledb`, killed", () => {
  it("while it copies, before and after the copies take their place, loses nothing and has nothing twice", async () => {
    // Phase and moment in turn; `npm run test:faults -- --only adoption` tries more.
    const moments = [0, 0.1, 0.3, 0.2, 0.6, 0.1];
    let drawn = 0;
    const figures = await adoption({
      ...{ serverUrl: TIMESCALEDB.serverUrl, kills: 3, rows: 30_000, meters: 20 },
      random: () => moments[drawn++ % moments.length]!,
    });
    expect(figures.filter(({ must }) => must?.holds === false)).toEqual([]);
    expect(figures.filter(({ must }) => must?.holds)).toHaveLength(3);
  }, 300_000);
});
