import { existsSync, readdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { DaemonProcess } from "../support/daemon.ts";

/** What goes wrong below a daemon, from now on. */
export interface DaemonFaults {
  /** Of the spool's files; null: nothing. */
  readonly disk: "full on write" | "full on sync" | "failing sync" | "slow sync" | null;
  /** How often; not of "slow sync". */
  readonly times: number;
  /** What a slow sync takes longer. */
  readonly slowMs: number;
  /** How far its clock is ahead, milliseconds. */
  readonly clockMs: number;
  /** Which plan it is, to tell whether it was taken. */
  readonly number: number;
}

export const NO_FAULTS: DaemonFaults = { disk: null, times: 0, slowMs: 0, clockMs: 0, number: 0 };
/** For as long as the plan holds. */
export const ALWAYS = Number.MAX_SAFE_INTEGER;

/** Names the plan's file in the daemon's environment. */
export const FAULTS_FILE = "FAULTS_PLAN";
/** After which the daemon reads the plan again, and says so in its log. */
export const FAULTS_SIGNAL = "SIGUSR2";
export const FAULTS_TAKEN = "faults taken";

/** Of a daemon that runs daemon-faults. */
export class FaultPlan {
  readonly environment: Record<string, string>;
  private readonly file: string;
  private faults = NO_FAULTS;

  constructor(folder: string) {
    this.file = join(folder, "faults");
    const preloaded = ["./daemon-faults.js", "../../dist/test/faults/daemon-faults.js"]
      .map((path) => new URL(path, import.meta.url))
      .find((url) => existsSync(fileURLToPath(url)))!;
    this.environment = { NODE_OPTIONS: `--import ${preloaded.href}`, [FAULTS_FILE]: this.file };
  }

  /** Resolves when they hold. */
  async take(daemon: DaemonProcess, changed: Partial<DaemonFaults>): Promise<void> {
    const number = this.faults.number + 1;
    this.faults = { ...this.faults, ...changed, number };
    writeFileSync(this.file, JSON.stringify(this.faults));
    daemon.child.kill(FAULTS_SIGNAL);
    await daemon.logged((line) => line.msg === FAULTS_TAKEN && line["number"] === number);
  }

  /** As after a kill and a power cut: of the spool's files stays what was synced. Answers how many octets that took. */
  powerCut(spool: string): number {
    const synced = new Map<string, number>();
    const journal = `${this.file}.synced`;
    if (existsSync(journal))
      for (const line of readFileSync(journal, "utf8").trim().split("\n")) {
        const [name, octets] = line.split(" ");
        synced.set(name!, Number(octets));
      }
    let cut = 0;
    for (const name of readdirSync(spool).filter((one) => one.endsWith(".spool"))) {
      const path = join(spool, name);
      const length = readFileSync(path).length;
      const kept = Math.min(length, synced.get(name) ?? 0);
      cut += length - kept;
      truncateSync(path, kept);
    }
    this.faults = { ...NO_FAULTS, number: this.faults.number };
    return cut;
  }
}
