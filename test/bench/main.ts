import { parseArgs } from "node:util";
import { inlineMore } from "../../src/inlining.ts";
import { benchDecoding } from "./decode.ts";
import { benchFleetMemory } from "./fleet-memory.ts";
import { benchGrowth } from "./growth.ts";
import { benchLine, type LineOptions } from "./line.ts";
import { benchPolls } from "./polls.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    meters: { type: "string", default: "1000" },
    pushes: { type: "string", default: "40" },
    kind: { type: "string", default: "instant" },
    habit: { type: "string", multiple: true, default: ["standing", "per-push"] },
    model: { type: "string", default: "D1" },
    database: { type: "string", default: "" },
    rows: { type: "string", multiple: true, default: ["1000000", "10000000"] },
  },
});
const parts = positionals.length > 0 ? positionals : ["decode", "line"];

const options: LineOptions = {
  meters: Number(values.meters),
  pushesPerMeter: Number(values.pushes),
  habits: values.habit.map((habit) => (habit === "standing" ? "standing" : "per-push")),
  kind: values.kind === "block" ? "block" : "instant",
  model: values.model === "D2" ? "D2" : values.model === "D3" ? "D3" : "D1",
  databaseUrl: values.database,
};

// As the daemon does.
inlineMore();
if (parts.includes("decode")) await benchDecoding();
if (parts.includes("line")) await benchLine(options);
if (parts.includes("growth")) await benchGrowth(options, values.rows.map(Number));
if (parts.includes("fleet")) await benchFleetMemory(options.meters);
if (parts.includes("polls")) await benchPolls(options.meters);
