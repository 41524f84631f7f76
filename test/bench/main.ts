import { parseArgs } from "node:util";
import { benchDecoding } from "./decode.ts";
import { benchLine } from "./line.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    meters: { type: "string", default: "1000" },
    pushes: { type: "string", default: "40" },
    kind: { type: "string", default: "instant" },
    habit: { type: "string", multiple: true, default: ["standing", "per-push"] },
    model: { type: "string", default: "D1" },
  },
});
const parts = positionals.length > 0 ? positionals : ["decode", "line"];

if (parts.includes("decode")) await benchDecoding();
if (parts.includes("line")) {
  await benchLine({
    meters: Number(values.meters),
    pushesPerMeter: Number(values.pushes),
    habits: values.habit.map((habit) => (habit === "standing" ? "standing" : "per-push")),
    kind: values.kind === "block" ? "block" : "instant",
    model: values.model === "D2" ? "D2" : values.model === "D3" ? "D3" : "D1",
  });
}
