import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { run } from "../../src/cli/run.ts";

const path = (name: string) => fileURLToPath(new URL(`../../${name}`, import.meta.url));
const read = (name: string) => readFileSync(path(name), "utf8");
const hasAnalyze = spawnSync("systemd-analyze", ["--version"]).status === 0;

describe("the systemd unit", () => {
  const unit = read("deploy/dlms-hes.service");

  it.each([
    "Type=notify",
    "NotifyAccess=all",
    "PrivateMounts=yes",
    "NoNewPrivileges=yes",
    "ProtectSystem=strict",
  ])("says %s", (line) => {
    expect(unit.split("\n")).toContain(line);
  });

  it("has a watchdog and takes the key-encryption key as a credential", () => {
    expect(unit).toMatch(/^WatchdogSec=\d+s$/m);
    expect(unit).toMatch(/^LoadCredential=kek:/m);
    expect(unit).toMatch(/^Environment=.*HES_SECURITY__KEK_FILE=%d\/kek/m);
    expect(unit).not.toMatch(/^MemoryDenyWriteExecute/m);
  });

  it.skipIf(!hasAnalyze)("is hardened to an exposure of 1.5 or less", () => {
    const { stdout, stderr } = spawnSync(
      "systemd-analyze",
      ["security", "--offline=true", "--no-pager", path("deploy/dlms-hes.service")],
      { encoding: "utf8" },
    );
    const level = /Overall exposure level for dlms-hes\.service: ([\d.]+)/.exec(stdout)?.[1];
    expect(level, stderr).toBeDefined();
    expect(Number(level)).toBeLessThanOrEqual(1.5);
  });
  if (!hasAnalyze) console.warn("systemd-analyze is not here: the unit's exposure was NOT checked");
});

describe("the Dockerfile", () => {
  it("builds on Node 24 slim, runs as a user who is not root, and has a health check", () => {
    const text = read("Dockerfile");
    expect(text.match(/^FROM node:24-slim/gm)!.length).toBeGreaterThanOrEqual(2);
    const last = text.slice(text.lastIndexOf("\nFROM "));
    expect(last).toMatch(/^USER node$/m);
    expect(last).toMatch(/^HEALTHCHECK /m);
    for (const folder of ["obis", "migrations"]) expect(last).toContain(`COPY ${folder} ${folder}`);
  });
});

describe("the cluster's files", () => {
  const has = (program: string) => {
    if (spawnSync(program, ["-v"]).status === 0) return true;
    console.warn(`SKIPPED: no ${program} on the PATH`);
    return false;
  };

  it.skipIf(!has("haproxy"))("are a configuration that HAProxy takes", () => {
    const checked = spawnSync("haproxy", ["-c", "-f", path("deploy/cluster/haproxy.cfg")], {
      encoding: "utf8",
    });
    expect(checked.stderr + checked.stdout).toContain("Configuration file is valid");
    expect(checked.status).toBe(0);
  });

  it.skipIf(!has("nats-server"))(
    "are configurations that nats-server takes, which sync always where they can",
    () => {
      const folder = mkdtempSync(join(tmpdir(), "hes-deploy-"));
      cpSync(path("deploy/cluster/nats"), folder, { recursive: true });
      const [, major, minor] = /v(\d+)\.(\d+)/.exec(
        spawnSync("nats-server", ["-v"], { encoding: "utf8" }).stdout,
      )!;
      const common = readFileSync(join(folder, "common.conf"), "utf8");
      expect(common).toMatch(/^ {2}sync_interval: always$/m);
      if (Number(major) === 2 && Number(minor) < 10)
        writeFileSync(join(folder, "common.conf"), common.replace(/^ {2}sync_interval: always$/m, ""));
      for (const name of ["nats-1.conf", "nats-2.conf", "nats-3.conf"]) {
        const env = { ...process.env, HES_NATS_PASSWORD: "secret" };
        const checked = spawnSync("nats-server", ["-t", "-c", join(folder, name)], { encoding: "utf8", env });
        expect(checked.stderr + checked.stdout).toContain("is valid");
        expect(checked.status).toBe(0);
      }
      rmSync(folder, { recursive: true });
    },
  );

  it("are settings that the daemon takes", async () => {
    const { code, stdout, stderr } = await hes("config", "check");
    expect(stderr).toBe("");
    expect(code).toBe(0);
    expect(stdout).not.toBe("");
  });
});

async function hes(...argv: string[]) {
  let stdout = "";
  let stderr = "";
  const code = await run(["--config", path("deploy/cluster/hes.toml"), ...argv], {
    write: (text) => {
      stdout += text;
    },
    error: (text) => {
      stderr += text;
    },
  });
  return { code, stdout, stderr };
}
