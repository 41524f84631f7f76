import { fork } from "node:child_process";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { fileURLToPath } from "node:url";
import type { FleetMemory, FleetOrder, MemoryLook } from "./fleet-memory-process.ts";

/** Two sizes: what the process has of its own is in both, and not in their difference. */
const FEW = 2_000;
const PUSHES_PER_METER = 4;

/** What one simulated meter costs in memory: the difference of two fleets, divided by the difference of their sizes. */
export async function benchFleetMemory(meters: number): Promise<void> {
  const few = await measured(Math.min(FEW, Math.ceil(meters / 6)));
  const many = await measured(meters);
  console.log(`\n# Memory of a simulated meter (D1, ${few.meters} against ${many.meters} meters)\n`);
  console.log("| KiB a meter | live | resident |");
  console.log("|---|---|---|");
  for (const [what, of] of [
    ["made, not connected", (memory: FleetMemory) => memory.made],
    [`connected, about ${PUSHES_PER_METER} pushes each`, (memory: FleetMemory) => memory.connected],
  ] as const) {
    const a = few.memory;
    const kib = (field: keyof MemoryLook) =>
      ((of(many.memory)[field] - of(a)[field]) / (many.meters - few.meters) / 1_024).toFixed(1);
    console.log(`| ${what} | ${kib("liveOctets")} | ${kib("residentOctets")} |`);
  }
  const mib = (octets: number) => (octets / 1_048_576).toFixed(0);
  for (const { meters: n, memory } of [few, many]) {
    const { empty, made, connected, connections, pushes } = memory;
    const looks = [empty, made, connected].map((l) => `${mib(l.liveOctets)}/${mib(l.residentOctets)}`);
    console.log(
      `\n${n} meters, MiB live/resident: ${looks[0]} before, ${looks[1]} made, ${looks[2]} with ${connections} connections and ${pushes} pushes sent`,
    );
  }
}

async function measured(meters: number): Promise<{ meters: number; memory: FleetMemory }> {
  // A head-end that reads and says nothing.
  const sink = createServer((socket) => {
    socket.on("data", () => {});
    socket.on("error", () => {});
  });
  sink.listen({ port: 0, host: "127.0.0.1", backlog: 4_096 });
  await once(sink, "listening");
  const { port } = sink.address() as AddressInfo;
  const suffix = import.meta.url.endsWith(".ts") ? "ts" : "js";
  const path = fileURLToPath(new URL(`./fleet-memory-process.${suffix}`, import.meta.url));
  // As `hes` is started: only the collection can be asked for.
  const child = fork(path, { execArgv: ["--expose-gc"] });
  child.send({ meters, port, pushesPerMeter: PUSHES_PER_METER } satisfies FleetOrder);
  const [memory] = (await once(child, "message")) as [FleetMemory];
  await once(child, "exit");
  sink.close();
  return { meters, memory };
}
