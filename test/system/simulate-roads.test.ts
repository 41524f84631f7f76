import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { type DaemonProcess, startDaemonProcess } from "../support/daemon.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { type CommandLine, commandLine } from "../support/hes.ts";
import { openPseudoTerminals, type PseudoTerminals } from "../support/pseudo-terminals.ts";

vi.setConfig({ testTimeout: 300_000 });

/* Roads other than a TCP connection that nobody answers on: confirmed pushes, datagrams, a serial line. */
describe("hes simulate --verify", () => {
  let test: TestDatabase;
  let cli: CommandLine;
  let daemon: DaemonProcess;
  let line: PseudoTerminals | null;

  const simulate = (...more: string[]) =>
    cli.hes("simulate", "--speed", "900", "--verify", test.url, "--import", "--json", "--seed", "7", ...more);

  beforeAll(async () => {
    test = await createTestDatabase();
    cli = commandLine(test.url);
    line = await openPseudoTerminals();
    const config = join(cli.folder, "roads.toml");
    const serial = line === null ? "" : `serial = [{ path = "${line.paths[0]}", baud_rate = 9600 }]\n`;
    writeFileSync(config, `[listen]\n${serial}`);
    daemon = await startDaemonProcess({
      HES_CONFIG: config,
      HES_DATABASE__URL: test.url,
      HES_DATA_DIR: join(cli.folder, "data"),
      HES_LISTEN__UDP: "127.0.0.1:0",
    });
  }, 120_000);
  afterAll(async () => {
    await daemon?.end("SIGTERM");
    await line?.unplug();
    cli?.remove();
    await test?.drop();
  });

  const addressOf = async (kind: string) => {
    const { listening } = await daemon.logged(({ msg }) => msg === "ready");
    return (listening as string[]).find((text) => text.startsWith(`${kind} `))!.slice(kind.length + 1);
  };

  it("has pushes confirmed, the next one behind the confirmation, whatever breaks on the way", async () => {
    const { code, stdout } = await simulate(
      ...["--to", `127.0.0.1:${daemon.port}`, "--meters", "12", "--for", "3s", "--confirmed", "100%"],
      ...["--framing", "wrapper", "--push-setup", "randomisation=5m,retries=20,repetition=2s"],
      ...[
        "--faults",
        "drop=5%,duplicate=5%,flip=5%,old-counter=5%",
        "--first-counter",
        "1",
        "--start",
        "2026-03-01T00:00:00Z",
      ],
    );
    const { verification, pushes, confirmed, unconfirmed } = JSON.parse(stdout);
    expect(verification.problems).toEqual([]);
    const sent = Object.values<number>(pushes).reduce((sum, n) => sum + n, 0);
    expect(sent).toBeGreaterThan(40);
    expect([confirmed, unconfirmed]).toEqual([sent, 0]);
    expect(code).toBe(0);
  });

  it("has datagrams confirmed, and sends again what was lost", async () => {
    const { code, stdout } = await simulate(
      ...["--to", await addressOf("udp"), "--transport", "udp", "--meters", "12", "--for", "2s"],
      ...["--framing", "wrapper", "--confirmed", "1", "--push-setup", "retries=20,repetition=2s"],
      ...["--first-counter", "1000", "--start", "2026-04-01T00:00:00Z"],
    );
    const { verification, pushes, confirmed, unconfirmed } = JSON.parse(stdout);
    expect(verification.problems).toEqual([]);
    const sent = Object.values<number>(pushes).reduce((sum, n) => sum + n, 0);
    expect([confirmed, unconfirmed]).toEqual([sent, 0]);
    expect(code).toBe(0);
    const framings = await test.database.query(
      "SELECT DISTINCT framing FROM raw_frames WHERE framing LIKE 'udp-%'",
    );
    expect(framings).toEqual([{ framing: "udp-wrapper" }]);
  });

  it("pushes over a serial line, in HDLC", async ({ skip }) => {
    if (line === null) return skip("neither socat nor python3 makes a pair of pseudo-terminals here");
    const { code, stdout } = await simulate(
      ...["--to", line.paths[1], "--transport", "serial", "--meters", "1", "--for", "2s"],
      ...[
        "--framing",
        "hdlc",
        "--quirks",
        "small-segments",
        "--first-counter",
        "2000",
        "--start",
        "2026-05-01T00:00:00Z",
      ],
    );
    const { verification, pushes } = JSON.parse(stdout);
    expect(verification.problems).toEqual([]);
    expect(pushes.instant).toBeGreaterThan(0);
    expect(code).toBe(0);
  });

  it("says what doesn't go together", async () => {
    const refused = async (...more: string[]) => (await simulate(...more)).stderr;
    expect(await refused("--transport", "udp", "--faults", "split")).toContain(
      "--transport udp: a datagram comes whole or not at all; leave out split",
    );
    expect(await refused("--transport", "serial", "--to", "/dev/null")).toContain(
      "--transport serial: one line has one meter; write --meters 1",
    );
    expect(await refused("--push-setup", "retries=300")).toContain(
      "--push-setup: write retries=3; at most 255",
    );
  });
});
