import { createServer } from "node:net";
import { afterAll, describe, expect, it, vi } from "vitest";
import { requireFiles } from "../../src/cli/simulate/file-limit.ts";
import type { FleetArguments } from "../../src/cli/simulate/fleet-options.ts";
import { commandLine } from "../support/hes.ts";

vi.setConfig({ testTimeout: 300_000 });

/* What hes simulate says to whoever asks for what can't be. No database is opened. */
describe("hes simulate", () => {
  const cli = commandLine("postgres://127.0.0.1:1/nowhere");
  afterAll(() => cli.remove());
  const simulate = (...more: string[]) => cli.hes("simulate", "--to", "127.0.0.1:1", ...more);

  it("says what is wrong with its arguments", async () => {
    expect(await simulate("--model", "d7")).toMatchObject({
      code: 64,
      stderr: expect.stringContaining('--model: there is no "d7"; there are D1, D2, D3, HT, IDIS, AIDON, '),
    });
    expect(await simulate("--push", "block=20m")).toMatchObject({
      code: 64,
      stderr: expect.stringContaining("D1 captures a block every 30 minutes"),
    });
    expect(await simulate("--faults", "flip=120%")).toMatchObject({
      code: 64,
      stderr: expect.stringContaining("flip=120% is no share"),
    });
    expect(await simulate("--to", "nowhere")).toMatchObject({
      code: 64,
      stderr: expect.stringContaining('--to: "nowhere" is no address'),
    });
    expect(await simulate("--quirks", "flip")).toMatchObject({
      code: 64,
      stderr: expect.stringContaining('--quirks: there is no "flip"'),
    });
  });

  it("ends soon where nobody has ever answered, and says so", async () => {
    expect(await simulate("--meters", "2", "--for", "1s")).toMatchObject({
      code: 69,
      stdout: expect.stringContaining("0 connections, "),
      stderr: expect.stringContaining("2 pushes could not be sent to 127.0.0.1:1"),
    });
  });

  it("says where meters can't be called, and leaves nothing open", async () => {
    const taken = createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => taken.once("listening", resolve));
    const { port } = taken.address() as { port: number };
    const answer = await simulate("--meters", "2", "--listen", `127.0.0.1:${port - 1}`);
    await new Promise((resolve) => taken.close(resolve));
    expect(answer).toMatchObject({ code: 69, stderr: expect.stringContaining("EADDRINUSE") });
  });

  it("refuses more connections than the process may have", () => {
    const fleet = { meters: 1_000, connection: "standing", transport: "tcp" } as FleetArguments;
    expect(() => requireFiles(fleet, 1_064)).not.toThrow();
    expect(() => requireFiles(fleet, null)).not.toThrow();
    expect(() => requireFiles(fleet, 1_063)).toThrow(
      "--meters 1000 needs 1064 open files, and this process may have 1063: raise the limit (ulimit -n 1064;",
    );
    expect(() => requireFiles({ ...fleet, listen: "127.0.0.1:5000" }, 2_063)).toThrow(
      "needs 2064 open files",
    );
    expect(() => requireFiles({ ...fleet, connection: "per-push" }, 100)).not.toThrow();
  });
});
