import { chmodSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { type DaemonProcess, eventually, sendOnce, startDaemonProcess } from "../support/daemon.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { type CommandLine, commandLine } from "../support/hes.ts";

interface Vector {
  readonly id: string;
  readonly hex: string;
  readonly push_setup: string;
  readonly security: string;
  readonly keys: { readonly guek: string; readonly gak: string; readonly system_title: string };
  readonly meter: { readonly category: string; readonly device_id: string };
  readonly rows: readonly (readonly Item[])[];
}

interface Item {
  readonly obis: string;
  readonly attribute: number;
  readonly raw: number | string;
  readonly scaler: number;
  readonly unit: string;
}

/** A process that starts on a busy machine takes its time. */
vi.setConfig({ testTimeout: 120_000 });

/** What another implementation sent for Indian meters. */
const vectors: Vector[] = readFileSync(
  new URL("../vectors/other-implementations/is15959-pushes.jsonl", import.meta.url),
  "utf8",
)
  .trimEnd()
  .split("\n")
  .map((line) => JSON.parse(line));
const instant = vectors.find(({ id }) => id === "india-d1-instant-flat-e-wrapper-int")!;
const voltage = instant.rows[0]!.find(({ obis }) => obis === "1.0.12.7.0.255")!;

const metersCsv = ({ meter, keys }: Vector) =>
  `meter_number,meter_type,system_title,required_protection,guek,gak
${meter.device_id},${meter.category},${keys.system_title},encrypted,${keys.guek},${keys.gak}
`;

const scalersCsv = ({ meter, rows }: Vector) =>
  [
    "meter_type,obis,attribute,scaler,unit",
    ...rows[0]!
      .filter(({ raw }) => typeof raw === "number")
      .map(({ obis, attribute, scaler, unit }) => `${meter.category},${obis},${attribute},${scaler},${unit}`),
  ].join("\n");

let daemon: DaemonProcess | null = null;
afterEach(async () => {
  await daemon?.end("SIGKILL");
  daemon = null;
});

describe("the daemon on a given database", () => {
  let test: TestDatabase;
  let cli: CommandLine;
  const environment = () => ({ HES_DATABASE__URL: test.url, HES_DATA_DIR: join(cli.folder, "data") });
  const pushes = async (verdict: string) =>
    (await test.database.query("SELECT count(*) AS n FROM push_history WHERE verdict = $1", [verdict]))[0]![
      "n"
    ];

  beforeAll(async () => {
    test = await createTestDatabase({ empty: true });
    cli = commandLine(test.url);
  });
  afterAll(async () => {
    cli.remove();
    await test.drop();
  });

  it("migrates, keeps a stranger's push, and stores it when the meter is adopted; then stores the next at once", async () => {
    daemon = await startDaemonProcess(environment());
    await sendOnce(daemon.port, Buffer.from(instant.hex, "hex"));
    const waiting = await eventually(async () => {
      const list = await cli.json("quarantine", "list");
      return list.length > 0 ? list : null;
    }, "the stranger is listed");
    expect(waiting).toMatchObject([
      { identifier: instant.keys.system_title, reason: "unknown_system_title", frames: 1 },
    ]);
    expect(await test.database.query("SELECT * FROM instant_profile")).toEqual([]);

    const known = await cli.hes(
      ...["meters", "adopt", instant.keys.system_title, "--meter-number", instant.meter.device_id],
      ...["--meter-type", instant.meter.category, "--required-protection", "encrypted"],
      ...["--guek", instant.keys.guek, "--gak", instant.keys.gak],
    );
    expect(known).toMatchObject({ code: 0, stderr: "" });
    expect(known.stdout).toBe(
      "0 frames that were kept are stored now.\n1 frame can't be stored yet: scaler_unknown 1; `hes quarantine list` says what is missing.\n",
    );
    await cli.json("meter-types", "import", cli.file("scalers.csv", scalersCsv(instant)));
    const adopted = await cli.hes("meters", "adopt", "--all");
    expect(adopted).toEqual({ code: 0, stdout: "1 frame that was kept is stored now.\n", stderr: "" });
    const rows = await test.database.query("SELECT voltage_l1_v FROM instant_profile");
    expect(rows).toEqual([{ voltage_l1_v: Number(voltage.raw) / 10 ** -voltage.scaler }]);
    expect(await cli.json("quarantine", "list")).toEqual([]);

    // The same frame again is a retransmission: nothing is stored twice.
    await sendOnce(daemon.port, Buffer.from(instant.hex, "hex"));
    const metric = await eventually(async () => {
      const text = await (await fetch(`${daemon!.http}/metrics`)).text();
      return /hes_pushes_total\{verdict="retransmission"\} 1/.test(text) ? text : null;
    }, "a retransmission is counted");
    expect(metric).toContain("hes_database_up 1");
    expect(await pushes("applied")).toBe(1);
    expect((await test.database.query("SELECT count(*) AS n FROM instant_profile"))[0]!["n"]).toBe(1);

    expect(await daemon.end("SIGTERM")).toBe(0);
    expect(daemon.log.map(({ msg }) => msg)).toContain("stopped");
  });

  it("stores a push over TCP in the tables, acknowledged by COMMIT, even when it is told to stop right after", async () => {
    const next = vectors.find(({ id }) => id === "india-d2-instant-flat-e-wrapper-int")!;
    await cli.json("meters", "import", cli.file("meters.csv", metersCsv(next)));
    await cli.json("meter-types", "import", cli.file("scalers.csv", scalersCsv(next)));
    daemon = await startDaemonProcess(environment());
    await sendOnce(daemon.port, Buffer.from(next.hex, "hex"));
    const code = await daemon.end("SIGTERM");
    expect(code).toBe(0);
    const rows = await test.database.query(
      `SELECT v.voltage_l1_v, v.source FROM voltage_measurements v JOIN public.meters m ON m.id = v.meter_id
        WHERE m.meter_number = $1`,
      [next.meter.device_id],
    );
    const expected = next.rows[0]!.find(({ obis }) => obis === "1.0.32.7.0.255")!;
    expect(rows).toEqual([
      { voltage_l1_v: Number(expected.raw) / 10 ** -expected.scaler, source: "instant" },
    ]);
  });

  it("keeps a known meter's push whose scalers nobody knows, says which, and stores it once they are imported", async () => {
    const block = vectors.find(({ id }) => id === "india-d2-block-flat-none-wrapper-int")!;
    await cli.json(
      "meters",
      "add",
      block.meter.device_id,
      "--meter-type",
      "D2-GENUS",
      "--required-protection",
      "none",
    );
    daemon = await startDaemonProcess(environment());
    await sendOnce(daemon.port, Buffer.from(block.hex, "hex"));
    const [waiting] = await eventually(async () => {
      const list = await cli.json("quarantine", "list");
      return list.length > 0 ? list : null;
    }, "the push is in quarantine");
    expect(waiting).toMatchObject({
      meterNumber: block.meter.device_id,
      reason: "scaler_unknown",
      frames: 1,
    });
    expect(waiting.message).toContain("1.0.32.27.0.255");

    const again = await cli.json("replay", "--quarantined", "--meter", block.meter.device_id);
    expect(again).toMatchObject({ frames: 1, rowsAdded: 0, left: [{ reason: "scaler_unknown" }] });
    const scalers = scalersCsv({ ...block, meter: { ...block.meter, category: "D2-GENUS" } });
    await cli.json("meter-types", "import", cli.file("scalers.csv", scalers));
    const adopted = await cli.hes("meters", "adopt", block.meter.device_id);
    expect(adopted.stdout).toBe("1 frame that was kept is stored now.\n");
    expect(await cli.json("quarantine", "list")).toEqual([]);
    const rows = await test.database.query(
      `SELECT b.voltage_l1_v FROM block_load_profile b JOIN public.meters m ON m.id = b.meter_id WHERE m.meter_number = $1`,
      [block.meter.device_id],
    );
    const expected = block.rows[0]!.find(({ obis }) => obis === "1.0.32.27.0.255")!;
    expect(rows).toEqual([{ voltage_l1_v: Number(expected.raw) / 10 ** -expected.scaler }]);
  });

  it("answers health, and says by its exit code why it can't start", async () => {
    daemon = await startDaemonProcess(environment());
    expect(await (await fetch(`${daemon.http}/readyz`)).json()).toMatchObject({
      status: "ready",
      parts: { database: "ok" },
    });
    expect((await fetch(`${daemon.http}/livez`)).status).toBe(200);
    const busy = await startDaemonProcess({
      ...environment(),
      HES_LISTEN__TCP: `127.0.0.1:${daemon.port}`,
      HES_SPOOL__DIR: join(cli.folder, "another-spool"),
    }).catch(String);
    expect(busy).toMatch(/EADDRINUSE/);
  });
});

describe("the daemon on its embedded database", () => {
  const folder = mkdtempSync(join(tmpdir(), "hes-system-"));
  // As root PostgreSQL runs as another user, who must get in.
  chmodSync(folder, 0o711);
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it("survives kill -9 of its PostgreSQL: degraded, then ready, and stores what was sent meanwhile", async () => {
    const cli = commandLine("", folder);
    daemon = await startDaemonProcess({ HES_DATA_DIR: folder });
    await cli.json("meters", "import", cli.file("meters.csv", metersCsv(instant)));
    await cli.json("meter-types", "import", cli.file("scalers.csv", scalersCsv(instant)));
    await daemon.logged(({ msg }) => msg === "the mapping's configuration was read again");
    const running = await daemon.logged(({ msg }) => msg === "embedded PostgreSQL is running");
    const ready = async () => (await (await fetch(`${daemon!.http}/readyz`)).json()) as { status: string };
    expect(await ready()).toMatchObject({ status: "ready" });

    process.kill(Number(running["pid"]), "SIGKILL");
    await daemon.logged(({ msg }) => String(msg).startsWith("the database is away"));
    await sendOnce(daemon.port, Buffer.from(instant.hex, "hex"));
    await daemon.logged(({ msg }) => msg === "the database is back");
    expect(
      await eventually(async () => ((await ready()).status === "ready" ? "ready" : null), "ready again"),
    ).toBe("ready");
    expect(daemon.child.exitCode).toBeNull();
    const stored = await eventually(async () => {
      const list = await cli.json("meters", "list");
      return list[0]?.lastSeenAt ?? null;
    }, "the meter was heard");
    expect(stored).toBeGreaterThan(Date.now() - 120_000);
    expect(await daemon.end("SIGTERM")).toBe(0);
  });
});
