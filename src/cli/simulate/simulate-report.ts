import type { FleetStatistics } from "../../../simulator/fleet.ts";
import { textTable } from "../text-table.ts";
import type { Verification } from "./verification.ts";

const list = (numbers: Readonly<Record<string, number>>): string =>
  Object.entries(numbers)
    .filter(([, n]) => n > 0)
    .map(([name, n]) => `${name} ${n}`)
    .join(", ");

/** What the meters did. */
export function report(statistics: FleetStatistics): string[] {
  const { meters, pushes, connections, failures, octets, repeats, waiting, faults } = statistics;
  const lines = [
    `${meters} meters sent ${list(pushes) || "nothing"}`,
    `${connections} connections, ${failures} failed; ${octets} octets; ${repeats} pushes repeated, ${waiting} given up`,
  ];
  const { confirmed, retries, unconfirmed } = statistics;
  if (confirmed + unconfirmed > 0) {
    lines.push(
      `${confirmed} pushes confirmed, ${unconfirmed} never; ${retries} sent again for want of a confirmation`,
    );
  }
  if (list(faults) !== "") lines.push(`faults: ${list(faults)}`);
  return lines;
}

/** What became of it. */
export function verdict(verification: Verification): string[] {
  const { rows, pushes, refusals, settledSeconds, problems, same } = verification;
  const table = textTable(
    [
      { what: "pushes", sent: pushes.sent, stored: pushes.applied },
      ...Object.entries(rows).map(([kind, { sent, stored }]) => ({ what: `${kind} rows`, sent, stored })),
    ],
    "",
  );
  const refused = Object.entries(refusals).map(
    ([reason, { expected, noted }]) => `refused as ${reason}: ${noted}, of which the faults are ${expected}`,
  );
  const last = same
    ? `Sent = stored: nothing lost, nothing double (all there ${settledSeconds.toFixed(1)} s after the last push).`
    : ["This is not as it should be:", ...problems.map((problem) => `  ${problem}`)].join("\n");
  return [table, ...refused, last];
}
