import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";

const MAIN = fileURLToPath(new URL("../../dist/src/main.js", import.meta.url));

it("shows the whole job, stores everything that was sent once, and ends by itself with 0", async () => {
  expect(existsSync(MAIN), "npm run build (npm test does it)").toBe(true);
  const demo = spawn(process.execPath, [MAIN, "demo", "--for", "12s", "--meters", "6"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let text = "";
  demo.stdout.on("data", (chunk: Buffer) => {
    text += chunk;
  });
  const [code] = (await once(demo, "close")) as [number | null];
  expect(text).toContain("Everything that was sent is stored, once, and holes were filled.");
  expect(code).toBe(0);
}, 180_000);
