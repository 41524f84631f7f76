import { describe, expect, it } from "vitest";
import { shortcomings, summary } from "../../src/cli/demo/demo-verdict.ts";
import { type DemoSnapshot, drawTable, plainLine } from "../../src/cli/demo/demo-view.ts";
import { OVERVIEW_TABLES, type Overview } from "../../src/storage/overview.ts";

function overview(changes: Partial<Overview> = {}): Overview {
  const rows = Object.fromEntries(OVERVIEW_TABLES.map((table) => [table, 5])) as Overview["rows"];
  const recent = [
    {
      id: 7,
      startedAt: Date.UTC(2026, 10, 23, 12, 0, 5),
      meterNumber: "SIM00001",
      meterType: "D1",
      kind: "instant",
      by: "push" as const,
      verdict: "applied",
      values: 19,
      rows: 5,
      octets: 143,
    },
  ];
  const read = { polls: { applied: 3 }, polledBlocks: 2, gaps: { filled: 1 } };
  return { rows, verdicts: { applied: 5 }, ...read, recent, quarantined: 0, conflicts: 0, ...changes };
}

const snapshot: DemoSnapshot = {
  now: Date.UTC(2026, 10, 23, 12, 0, 10),
  elapsedSeconds: 10,
  fleet: "2 D1, 1 D2, 1 D3",
  listenAddress: "127.0.0.1:40590",
  httpAddress: "http://127.0.0.1:8059",
  readiness: "ready",
  embeddedPid: 4711,
  sent: { instant: 3, block: 2 },
  verdicts: { applied: 5, refused: 0 },
  connectionsOpen: 4,
  keptBack: 2,
  overview: overview(),
  before: { now: Date.UTC(2026, 10, 23, 12, 0, 9), rows: { instant_profile: 2 } },
};

describe("the table of the demo", () => {
  it("shows what came, where it is stored and what grows", () => {
    const text = drawTable(snapshot, 200);
    for (const table of OVERVIEW_TABLES) expect(text).toContain(table);
    expect(text).toMatch(/instant_profile\s+5\s+\+3\.0\/s/);
    expect(text).toContain("5 pushes: instant 3, block 2");
    expect(text).toContain("applied 3; 2 blocks read");
    expect(text).toContain("2 blocks kept back on purpose; gaps open 0, filled 1");
    expect(text).toContain("12:00:05  SIM00001");
    expect(text).toContain("embedded PostgreSQL 4711");
  });

  it("never is wider than the terminal", () => {
    const colour = new RegExp(`${String.fromCharCode(27)}\\[\\d+m`, "g");
    const widths = drawTable(snapshot, 60)
      .split("\n")
      .map((line) => line.replace(colour, "").length);
    expect(Math.max(...widths)).toBeLessThanOrEqual(60);
  });

  it("is one line where there is no terminal", () => {
    expect(plainLine(snapshot)).toMatch(
      /^12:00:10 ready: sent 5, applied 5, polled 3, gaps filled 1; instant_profile 5 /,
    );
  });
});

describe("the verdict on the demo", () => {
  const good = {
    sent: { instant: 5 },
    overview: overview(),
    expectedRows: { instant_profile: 5 },
    blocks: { pushed: 3, keptBack: 2 },
    elapsedSeconds: 20,
  };

  it("is good only where everything that was sent is stored once, in every table", () => {
    expect(shortcomings(good)).toEqual([]);
    expect(summary(good, [])).toContain("Everything that was sent is stored, once, and holes were filled.");
  });

  it.each([
    [{ sent: {} }, "no push was sent"],
    [{ sent: { instant: 6 } }, "6 pushes were sent and 5 applied"],
    [{ expectedRows: { instant_profile: 4 } }, "instant_profile has 5 rows; the meters captured 4"],
    [
      { overview: overview({ rows: { ...overview().rows, billing_profile: 0 } }) },
      "billing_profile is empty",
    ],
    [
      { overview: overview({ rows: { ...overview().rows, raw_frames: 6 } }) },
      "raw_frames has 6 rows for 5 pushes",
    ],
    [{ blocks: { pushed: 6, keptBack: 2 } }, "block_load_profile has 5 rows; 6 were pushed and 2 kept back"],
    [{ blocks: { pushed: 2, keptBack: 2 } }, "block_load_profile has 5 rows; 2 were pushed and 2 kept back"],
    [{ overview: overview({ gaps: {} }) }, "no hole was filled"],
    [{ overview: overview({ polls: { unreachable: 3 } }) }, "no poll was made"],
    [{ overview: overview({ quarantined: 1 }) }, "1 frames are in quarantine"],
    [{ overview: overview({ conflicts: 2 }) }, "2 rows came twice"],
  ])("names what is missing: %j", (change, problem) => {
    const result = { ...good, ...change };
    const problems = shortcomings(result);
    expect(problems.join("\n")).toContain(problem);
    expect(summary(result, problems)).toContain(problem);
  });
});
