import type { Data } from "../../src/dlms/encoding/data-types.ts";
import { suite0 } from "../support/associations.ts";
import { meterServer } from "../support/meter-server.ts";
import { PaperMeter } from "../support/paper-meter.ts";

/* The meters of benchPolls, a process of their own: one port, and for each connection a meter that has never been called. */

const columns = Number(process.argv[2]);
const row: Data = {
  type: "structure",
  value: Array.from({ length: columns }, (_, value) => ({ type: "double-long-unsigned", value })),
};
const objects = new PaperMeter().attribute(7, "1.0.94.91.0.255", 2, { type: "array", value: [row] });

const server = await meterServer({
  framing: "wrapper",
  objects: () => objects,
  policy: () => ({
    mechanism: 5,
    secret: null,
    ciphered: true,
    conformance: 0x603e1d,
    security: suite0(1),
  }),
});

let before = process.cpuUsage();
process.on("message", () => {
  const { user, system } = process.cpuUsage(before);
  before = process.cpuUsage();
  process.send!((user + system) / 1_000);
});
process.on("disconnect", () => process.exit());
process.send!(server.port);
