import { mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { SYSTEM_CLOCK } from "../../src/clock.ts";
import type { AppendOutcome, DurableLog } from "../../src/durable-log/durable-log.ts";
import { claimSpool } from "../../src/durable-log/spool/claim.ts";
import { directoryFiles, type SpoolFiles } from "../../src/durable-log/spool/files.ts";
import { openSpool, type SpoolOptions } from "../../src/durable-log/spool/spool.ts";
import { processIdentity } from "../../src/process-identity.ts";
import { FaultyDisk } from "../support/faulty-files.ts";

const problems: string[] = [];
const observer = { problem: (text: string) => void problems.push(text), synced: () => undefined };

async function opened(files: SpoolFiles, options: Partial<SpoolOptions> = {}) {
  const recovered: string[] = [];
  problems.length = 0;
  let nonces = 7;
  const log = await openSpool({
    ...{ files, clock: SYSTEM_CLOCK, observer, nonce: () => nonces++, bytesMax: 1 << 30 },
    onRecovered: (payload, isDrained) => {
      if (!isDrained) recovered.push(payload.toString());
    },
    ...options,
  });
  return { log, recovered };
}

const append = (log: DurableLog, text: string) =>
  new Promise<AppendOutcome>((resolve) => log.append(Buffer.from(text), "meter", resolve));

/** Everything that is there to read, as text. */
async function drain(log: DurableLog, trim = true): Promise<string[]> {
  const texts: string[] = [];
  while (texts.length < log.state().records + (trim ? texts.length : 0)) {
    const entries = await log.read(100);
    texts.push(...entries.map(({ payload }) => payload.toString()));
    if (trim) log.trim(entries.map(({ position }) => position));
  }
  return texts;
}

const numbers = (count: number) => Array.from({ length: count }, (_, n) => `push number ${n}`);

describe("the spool", () => {
  it("gives back what was appended, in order, and removes its files when all is trimmed", async () => {
    const disk = new FaultyDisk();
    const { log } = await opened(disk.access, { limits: { segmentBytes: 2_000 } });
    for (const text of numbers(200)) expect((await append(log, text)).kind).toBe("durable");
    expect(disk.names().length).toBeGreaterThan(3);
    expect(log.state()).toMatchObject({ records: 200, condition: "ok" });
    expect(await drain(log)).toEqual(numbers(200));
    await log.close();
    expect(log.state().records).toBe(0);
    const { log: again, recovered } = await opened(disk.access);
    expect(recovered).toEqual([]);
    expect(disk.names()).toEqual(["drained"]);
    await again.close();
    expect(disk.open).toBe(0);
  });

  it("leaves its files alone once it is closed, whatever is trimmed and covered then: somebody else may have them", async () => {
    const disk = new FaultyDisk();
    const { log } = await opened(disk.access, { limits: { segmentBytes: 2_000 } });
    for (const text of numbers(100)) await append(log, text);
    const entries = [...(await log.read(100))];
    expect(entries).toHaveLength(100);
    await log.close();
    const names = disk.names();
    const { log: next, recovered } = await opened(disk.access);
    expect(recovered).toHaveLength(100);
    log.trim(entries.map(({ position }) => position));
    log.cover(Number.POSITIVE_INFINITY);
    await new Promise((resolve) => setImmediate(resolve));
    expect(disk.names()).toEqual(names);
    expect(await drain(next)).toHaveLength(100);
    await next.close();
    expect(disk.names()).toEqual(["drained"]);
    expect(problems).toEqual([]);
    expect(disk.open).toBe(0);
  });

  it("says that a record is safe after its fdatasync has returned, and not before", async () => {
    const disk = new FaultyDisk();
    const { log } = await opened(disk.access);
    let release = () => {};
    disk.beforeSync = () => new Promise((resolve) => (release = resolve));
    let outcome: AppendOutcome | null = null;
    log.append(Buffer.from("one"), "meter", (settled) => {
      outcome = settled;
    });
    await expect.poll(() => disk.syncs).toBe(1);
    expect(outcome).toBeNull();
    expect(log.state().records).toBe(0);
    release();
    await expect.poll(() => outcome).toMatchObject({ kind: "durable" });
    await log.close();
  });

  it("syncs many records at once while they keep coming", async () => {
    const disk = new FaultyDisk();
    const { log } = await opened(disk.access);
    const outcomes = await Promise.all(numbers(1_000).map((text) => append(log, text)));
    expect(outcomes.every(({ kind }) => kind === "durable")).toBe(true);
    expect(disk.syncs).toBe(1);
    await log.close();
  });

  it("goes on with a new segment after the first fsync error, and never syncs the old one again", async () => {
    const disk = new FaultyDisk();
    const { log } = await opened(disk.access);
    await append(log, "before");
    disk.failSync = new Error("EIO: i/o error, fdatasync");
    expect((await append(log, "at")).kind).toBe("durable");
    await append(log, "after");
    expect(problems).toEqual([expect.stringContaining("is given up")]);
    expect(disk.names()).toHaveLength(2);
    // Once before, once that failed, one each for the two on the new segment.
    expect(disk.syncs).toBe(4);
    expect(await drain(log)).toEqual(["before", "at", "after"]);
    await log.close();
  });

  it("refuses what can't be made safe, and takes in again when there is room", async () => {
    const disk = new FaultyDisk();
    const { log } = await opened(disk.access, { limits: { retryMs: 0 } });
    await append(log, "fits");
    disk.capacity = 0;
    expect(await append(log, "does not")).toMatchObject({ kind: "refused", reason: "failed" });
    expect(log.state().condition).toContain("ENOSPC");
    disk.capacity = Number.POSITIVE_INFINITY;
    expect((await append(log, "fits again")).kind).toBe("durable");
    expect(log.state().condition).toBe("ok");
    expect(await drain(log)).toEqual(["fits", "fits again"]);
    await log.close();
  });

  it("gives what it still has in memory, and reads from its files what came behind more than that", async () => {
    const disk = new FaultyDisk();
    const { log } = await opened(disk.access, { limits: { segmentBytes: 3 << 20 } });
    await append(log, "one");
    await append(log, "two");
    const few = await log.read(9);
    expect(few.map(({ payload }) => payload.toString())).toEqual(["one", "two"]);
    const readBefore = disk.reads;
    const large = Array.from({ length: 8 }, (_, n) => `${n}`.padEnd(600_000, "."));
    for (const text of large) await append(log, text);
    await append(log, "three");
    const texts: string[] = [];
    while (texts.length < 9) texts.push(...(await log.read(2)).map(({ payload }) => payload.toString()));
    expect(texts).toEqual([...large, "three"]);
    expect(disk.reads).toBeGreaterThan(readBefore);
    const { reads } = disk;
    await append(log, "four");
    expect((await log.read(9)).map(({ payload }) => payload.toString())).toEqual(["four"]);
    expect(disk.reads).toBe(reads);
    await log.close();
    expect(readBefore).toBe(0);
  });

  it("reads again where its files can't be read for a moment, and tells of what has changed in them meanwhile", async () => {
    const disk = new FaultyDisk();
    const clock = { ...SYSTEM_CLOCK, after: (_: number, call: () => void) => SYSTEM_CLOCK.after(0, call) };
    const { log } = await opened(disk.access, { clock });
    // More than is kept in memory until it is read: the last two are in the file alone.
    const large = Array.from({ length: 8 }, (_, n) => `${n}`.padEnd(600_000, "."));
    for (const text of large) await append(log, text);
    const file = disk.contents(disk.names()[0]!);
    const recordOctets = (file.length - 12) / 8;
    file[12 + 6 * recordOctets + 100]! ^= 0x55;
    disk.failRead = new Error("EIO: i/o error, read");
    const texts: string[] = [];
    while (texts.length < 7) texts.push(...(await log.read(9)).map(({ payload }) => payload.toString()));
    expect(texts).toEqual(large.filter((_, index) => index !== 6));
    expect(problems).toEqual([
      expect.stringContaining("can't be read; it is tried again"),
      expect.stringMatching(`^${recordOctets} octets of .* have changed since they were written`),
    ]);
    await log.close();
  });

  it("is bounded", async () => {
    const disk = new FaultyDisk();
    const { log } = await opened(disk.access, { bytesMax: 1_000 });
    const outcomes = await Promise.all(numbers(100).map((text) => append(log, text)));
    const safe = outcomes.filter(({ kind }) => kind === "durable").length;
    expect(safe).toBeGreaterThan(10);
    expect(log.state().bytes).toBeLessThanOrEqual(1_000);
    expect(outcomes[99]).toMatchObject({ kind: "refused", reason: "full" });
    await log.close();
  });

  it("hands records out again, and says so, where the last run did not get to trim them", async () => {
    const disk = new FaultyDisk();
    const first = await opened(disk.access);
    for (const text of numbers(10)) await append(first.log, text);
    const entries = await first.log.read(4);
    first.log.trim(entries.map(({ position }) => position));
    await first.log.close();
    const { log, recovered } = await opened(disk.access);
    expect(recovered).toEqual(numbers(10).slice(4));
    const again = await log.read(100);
    expect(again.map(({ payload }) => payload.toString())).toEqual(numbers(10).slice(4));
    expect(again.every(({ again }) => again)).toBe(true);
    await append(log, "new");
    expect((await log.read(1))[0]).toMatchObject({ again: false });
    await log.close();
  });

  it("never uses a sequence again, so that what is new isn't taken for drained", async () => {
    const disk = new FaultyDisk();
    for (let run = 0; run < 5; run++) {
      const { log } = await opened(disk.access);
      await append(log, `run ${run}`);
      expect(await drain(log)).toEqual([`run ${run}`]);
      await log.close();
    }
  });
});

describe("a spool that was cut", () => {
  it("at any octet gives every whole record and no other", async () => {
    const disk = new FaultyDisk();
    const { log } = await opened(disk.access);
    const ends: number[] = [];
    for (const text of numbers(8)) {
      await append(log, text);
      ends.push(log.state().bytes);
    }
    const name = disk.names()[0]!;
    const whole = Buffer.from(disk.contents(name));
    for (let cut = 0; cut <= whole.length; cut++) {
      const after = new FaultyDisk();
      after.overwrite(name, whole.subarray(0, cut));
      const { log: reopened, recovered } = await opened(after.access);
      const expected = numbers(ends.filter((end) => end <= cut).length);
      expect(recovered).toEqual(expected);
      expect(problems).toEqual([]);
      await append(reopened, "next");
      expect(await drain(reopened)).toEqual([...expected, "next"]);
      await reopened.close();
    }
    await log.close();
  });

  it("with any octet changed gives the others, tells of the damage, and keeps the file", async () => {
    const disk = new FaultyDisk();
    const { log } = await opened(disk.access);
    for (const text of numbers(4)) await append(log, text);
    const name = disk.names()[0]!;
    const whole = Buffer.from(disk.contents(name));
    const recordOctets = (whole.length - 12) / 4;
    for (let at = 12; at < whole.length; at++) {
      const after = new FaultyDisk();
      const changed = Buffer.from(whole);
      changed[at]! ^= 0x55;
      after.overwrite(name, changed);
      const { log: reopened, recovered } = await opened(after.access);
      const damaged = Math.floor((at - 12) / recordOctets);
      const expected = numbers(4).filter((_, index) => index !== damaged);
      expect(recovered).toEqual(expected);
      expect(await drain(reopened)).toEqual(expected);
      await reopened.close();
      if (damaged < 3) {
        expect(problems).toEqual([expect.stringContaining("belong to no whole record")]);
        expect(after.names()).toContain(`${name}.damaged`);
      }
    }
    await log.close();
  });

  it("takes no record for one that a meter sent inside another", async () => {
    const disk = new FaultyDisk();
    const { log } = await opened(disk.access);
    await append(log, "forged");
    const name = disk.names()[0]!;
    const inside = disk.contents(name).subarray(12);
    await log.close();
    const other = new FaultyDisk();
    const { log: outer } = await opened(other.access, { nonce: () => 4_711 });
    await new Promise<AppendOutcome>((resolve) => outer.append(Buffer.from(inside), "meter", resolve));
    const outerName = other.names()[0]!;
    const changed = Buffer.from(other.contents(outerName));
    changed[16]! ^= 0x01;
    other.overwrite(outerName, changed);
    expect((await opened(other.access)).recovered).toEqual([]);
    await outer.close();
  });

  it("by a power failure has all that was said to be safe", async () => {
    for (const kept of [0, 1, 17, 25, 40, Number.POSITIVE_INFINITY]) {
      const disk = new FaultyDisk();
      const { log } = await opened(disk.access);
      const safe: string[] = [];
      for (const text of numbers(5)) {
        if ((await append(log, text)).kind === "durable") safe.push(text);
      }
      disk.beforeSync = () => new Promise(() => undefined);
      for (const text of ["lost 1", "lost 2"]) log.append(Buffer.from(text), "meter", () => safe.push(text));
      await expect.poll(() => disk.syncs).toBe(6);
      disk.powerCut((unsynced) => Math.min(kept, unsynced));
      const { recovered } = await opened(disk.access);
      expect(recovered.slice(0, 5)).toEqual(safe);
      expect(["lost 1", "lost 2"]).toEqual(expect.arrayContaining(recovered.slice(5)));
    }
  });
});

describe("the spool on a real disk", () => {
  it("survives being reopened, and belongs to one process", async () => {
    const directory = mkdtempSync(join(tmpdir(), "spool-"));
    const files = await directoryFiles(directory);
    const release = await claimSpool(directory);
    const { log } = await opened(files);
    for (const text of numbers(50)) await append(log, text);
    await log.close();
    const { log: again, recovered } = await opened(files);
    expect(recovered).toEqual(numbers(50));
    expect(await drain(again)).toEqual(numbers(50));
    await again.close();
    await release();
    expect(readdirSync(directory)).toEqual(["drained"]);
    rmSync(directory, { recursive: true });
  });

  it("belongs to one living process, and is taken over from a dead one", async () => {
    const directory = mkdtempSync(join(tmpdir(), "hes-claim-"));
    const owner = join(directory, "owner.pid");
    writeFileSync(owner, `${processIdentity(process.ppid)}\n`);
    await expect(claimSpool(directory)).rejects.toThrow(`in use by process ${process.ppid}`);
    expect(readdirSync(directory)).toEqual(["owner.pid"]);
    rmSync(owner);
    // As it is claimed where the disk is full.
    symlinkSync(processIdentity(process.ppid), owner);
    await expect(claimSpool(directory)).rejects.toThrow(`in use by process ${process.ppid}`);
    const empty = (path: string) => writeFileSync(path, "");
    for (const make of [empty, writeFileSync, (path: string, dead: string) => symlinkSync(dead, path)]) {
      rmSync(owner, { force: true });
      make(owner, "999999999 1");
      const release = await claimSpool(directory);
      expect(readFileSync(owner, "utf8")).toBe(`${processIdentity(process.pid)}\n`);
      expect(readdirSync(directory)).toEqual(["owner.pid"]);
      await release();
    }
    expect(readdirSync(directory)).toEqual([]);
    rmSync(directory, { recursive: true });
  });
});
