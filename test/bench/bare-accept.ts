import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { ownCpuSeconds } from "./cpu.ts";
import type { Generator } from "./generator.ts";

/**
 * Processor seconds that Node takes for the same connections when nothing is done with what they bring: accept, read, close. What
 * a connection for each push costs before any of our code runs.
 */
export async function bareAcceptCpuSeconds(generator: Generator): Promise<number> {
  const server = createServer((socket) => {
    socket.on("data", () => {});
    socket.on("error", () => {});
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  await generator.dial({ target: { host: "127.0.0.1", port }, connection: "per-push", ratePerSecond: null });
  const before = ownCpuSeconds();
  await generator.send();
  const spent = ownCpuSeconds() - before;
  server.close();
  await once(server, "close");
  return spent;
}
