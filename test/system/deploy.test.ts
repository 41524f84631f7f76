import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

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
