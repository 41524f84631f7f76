import { existsSync, readFileSync, renameSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, it, vi } from "vitest";
import { Installation } from "../faults/installation.ts";
import { eventually, sendOnce } from "../support/daemon.ts";

vi.setConfig({ testTimeout: 180_000, hookTimeout: 180_000 });

interface Vector {
  readonly id: string;
  readonly hex: string;
  readonly meter: { readonly category: string; readonly device_id: string };
}

/** Pushes in clear by another implementation, of a meter each: they need no key. */
const [first, second] = readFileSync(
  new URL("../vectors/other-implementations/is15959-pushes.jsonl", import.meta.url),
  "utf8",
)
  .trimEnd()
  .split("\n")
  .map((line): Vector => JSON.parse(line))
  .filter(({ id }) => id.includes("-alert-flat-none-"));

let installation: Installation;
let kek: string;
beforeAll(async () => {
  installation = await Installation.make();
  kek = join(installation.folder, "data", "kek");
});
afterEach(() => installation.killDaemon());
afterAll(() => installation.remove());

const text = async (path: string) => (await fetch(`${installation.daemon!.http}${path}`)).text();
const counts = (name: string, count: number) =>
  eventually(
    async () => ((await text("/metrics")).includes(`${name} ${count}\n`) ? true : null),
    `${name} ${count}`,
  );
const send = ({ hex }: Vector) => sendOnce(installation.port, Buffer.from(hex, "hex"));
const stored = async () =>
  (await installation.query("SELECT verdict FROM push_history ORDER BY started_at")).map(
    ({ verdict }) => verdict,
  );

it("is made at the first start, for its owner alone", async () => {
  await installation.startDaemon();
  expect(statSync(kek).mode & 0o777).toBe(0o400);
  const plain = [first!, second!].map(({ meter }) => `${meter.device_id},${meter.category},,none,,\n`);
  await installation.register({
    importCsv: `meter_number,meter_type,system_title,required_protection,guek,gak\n${plain.join("")}`,
    keysCsv: "meter_number,client_sap\n",
  });
  await installation.knows(2);
});

it("isn't made while the database is away, and pushes are accepted; it is made when nothing proves sealed", async () => {
  rmSync(kek);
  await installation.stopDatabase();
  await installation.startDaemon();
  await send(first!);
  await counts("hes_spool_records", 1);
  expect(existsSync(kek)).toBe(false);

  await installation.startDatabase();
  await counts("hes_spool_records", 0);
  expect(await stored()).toEqual(["applied"]);
  expect(statSync(kek).mode & 0o777).toBe(0o400);
});

it("keeps what was accepted in the spool where keys prove sealed when the database comes, until the file is put back", async () => {
  renameSync(kek, `${kek}.copy`);
  await installation.query(
    `INSERT INTO meter_keys (meter_id, kind, envelope)
     SELECT id, 'guek', '\\x010011223344556677ff' FROM public.meters WHERE meter_number = $1`,
    [first!.meter.device_id],
  );
  await installation.stopDatabase();
  await installation.startDaemon();
  await send(second!);
  await counts("hes_spool_records", 1);

  await installation.startDatabase();
  const complaint = await eventually(
    async () => (/"database":"([^"]*isn't there[^"]*)"/.exec(await text("/healthz")) ?? [])[1] ?? null,
    "/healthz complains",
  );
  expect(complaint).toContain(`${kek} isn't there`);
  expect(complaint).toContain("1 key and 0 secrets are sealed with 0011223344556677");
  expect(existsSync(kek)).toBe(false);
  expect(await stored()).toEqual(["applied"]);

  renameSync(`${kek}.copy`, kek);
  await counts("hes_spool_records", 0);
  expect(await stored()).toEqual(["applied", "applied"]);
  await eventually(async () => {
    const snapshot = join(installation.folder, "data", "spool", "snapshot", "meters");
    return readFileSync(snapshot, "utf8").includes('"kind":"guek"') ? true : null;
  }, "the key is in the snapshot");
});

it("ends the daemon's start where the database, or while it is away the snapshot, has sealed keys", async () => {
  renameSync(kek, `${kek}.copy`);
  await expect(installation.startDaemon()).rejects.toThrow(
    /1 key and 0 secrets are sealed with 0011223344556677.*hes keys rekey --lost/,
  );
  await installation.stopDatabase();
  await expect(installation.startDaemon()).rejects.toThrow(/isn't there.*snapshot beside the spool/);
  await installation.startDatabase();
  expect(existsSync(kek)).toBe(false);
});
