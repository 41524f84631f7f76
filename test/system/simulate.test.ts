import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { FAULT_NAMES } from "../../simulator/faults.ts";
import { type DaemonProcess, startDaemonProcess } from "../support/daemon.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { type CommandLine, commandLine } from "../support/hes.ts";

/** A process that starts on a busy machine takes its time. */
vi.setConfig({ testTimeout: 300_000 });

/*
 * The simulated fleet against the daemon as a process: sent = stored. What the comparison would find is shown by damaging the
 * database behind its back.
 */
describe("hes simulate --verify", () => {
  let test: TestDatabase;
  let cli: CommandLine;
  let daemon: DaemonProcess;

  const simulate = (...more: string[]) =>
    cli.hes("simulate", "--to", `127.0.0.1:${daemon.port}`, "--speed", "1800", "--verify", test.url, ...more);

  beforeEach(async () => {
    test = await createTestDatabase();
    cli = commandLine(test.url);
    daemon = await startDaemonProcess({
      HES_DATABASE__URL: test.url,
      HES_DATA_DIR: join(cli.folder, "data"),
      // Pushes are asked about, whatever the hour: lent-connections.test.ts has polls beside them.
      HES_POLLING__POLLS_MAX: "0",
    });
  }, 120_000);
  afterEach(async () => {
    await daemon?.end("SIGTERM");
    cli?.remove();
    await test?.drop();
  });

  it("finds everything stored once, with every fault and every quirk, and a power cut in between", async () => {
    const { code, stdout, stderr } = await simulate(
      ...["--meters", "45", "--for", "6s", "--import", "--seed", "7", "--json"],
      ...["--faults", "all=1.5%,clock-drift=20%,clock-jump=20%", "--quirks", "all", "--incidents", "40"],
      ...["--power-cut", "3s", "--dark", "500ms", "--back-within", "1s"],
      // An hour and a half before a month ends where they stand.
      ...["--start", "2026-02-28T17:00:00Z"],
    );
    expect(stderr).toContain("imported 45 meters, 45 of them new");
    const { verification, faults, answers, pushes } = JSON.parse(stdout);
    expect(verification.problems).toEqual([]);
    expect(verification.same).toBe(true);
    expect(verification.pushes.sent).toBe(verification.pushes.applied);
    // Each meter had its last gasp and its first breath.
    expect(pushes.alert).toBeGreaterThanOrEqual(90);
    expect([pushes.daily, pushes.billing].every((count) => count > 0)).toBe(true);
    // Every fault happened, and the head-end had to refuse for every reason.
    expect(Object.keys(faults).sort()).toEqual([...FAULT_NAMES].sort());
    expect(Object.keys(answers).sort()).toEqual(
      ["bad_tag", "malformed", "replay", "retransmission", "unknown_system_title"].sort(),
    );
    expect(code).toBe(0);
  });

  it("finds what every model pushes in its columns: registers, profiles, alarms, lists of customer interfaces", async () => {
    const { code, stdout } = await simulate(
      ...["--meters", "20", "--for", "4s", "--import", "--seed", "11", "--json", "--incidents", "40"],
      ...[
        "--model",
        "d1,d2,d3,ht,idis,aidon,kaifa,kamstrup,netz-noe,tinetz",
        "--push",
        "instant=15m,list=5m",
      ],
      ...["--start", "2026-10-24T21:50:00Z", "--first-counter", "1"],
    );
    const { verification, pushes } = JSON.parse(stdout);
    expect(verification.problems).toEqual([]);
    expect(pushes.untimed).toBeGreaterThan(10);
    const columns = await test.database.query(`
      SELECT m.model, count(voltage_l1_v) = count(*) AS voltages, count(current_l1_a) = count(*) AS currents,
             count(active_import_w) = count(*) AS powers, bool_or(active_import_wh > 0) AS registers
        FROM instant_profile t JOIN public.meters m ON m.id = t.meter_id
       WHERE t.time <> t.received_at GROUP BY 1 ORDER BY 1`);
    const full = { voltages: true, currents: true, powers: true, registers: true };
    expect(columns).toEqual(
      ["AIDON", "D1", "D2", "D3", "D4", "KAIFA", "KAMSTRUP", "NETZ-NOE", "TINETZ"].map((model) => ({
        model,
        ...full,
      })),
    );
    const alarms = await test.database.query(
      "SELECT DISTINCT log FROM public.meter_events t JOIN public.meters m ON m.id = t.meter_id WHERE m.model = 'IDIS'",
    );
    expect(alarms).toEqual([{ log: "alarm-register-1" }]);
    expect(code).toBe(0);
  });

  it.each(["autumn", "spring"])(
    "stores the hours around the change of clocks in %s once, whoever tells no deviation",
    async (season) => {
      const { code, stdout } = await simulate(
        ...[
          "--model",
          "idis",
          "--meters",
          "4",
          "--for",
          "8s",
          "--import",
          "--seed",
          "7",
          "--json",
          "--incidents",
          "40",
        ],
        ...["--start", season, "--faults", "daylight-saving=60%"],
      );
      const { verification, rows } = JSON.parse(stdout);
      expect(verification.problems).toEqual([]);
      // Every quarter of an hour of three hours at least: two before the change, one behind it.
      expect(rows.block).toBeGreaterThanOrEqual(4 * 12);
      expect(code).toBe(0);
    },
  );

  it("sees what is missing, what is there twice, and what has another value", async () => {
    // A trigger stands for a head-end that loses one row, invents one, and stores one wrongly; and for a poll, which stores a row that nobody pushed.
    await test.database.query(`CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS $$
      DECLARE number text := (SELECT meter_number FROM public.meters WHERE id = NEW.meter_id);
      BEGIN
        IF number = 'SIM10000001' THEN RETURN NULL; END IF;
        IF number = 'SIM10000002' THEN NEW.block_active_import_wh := NEW.block_active_import_wh + 1; END IF;
        IF number = 'SIM10000003' AND extract(minute FROM NEW.time) IN (0, 30) THEN NEW.time := NEW.time + interval '1 second'; END IF;
        IF number = 'SIM10000004' AND NEW.origin = 'push' THEN
          INSERT INTO block_load_profile SELECT * FROM jsonb_populate_record(NULL::block_load_profile,
            to_jsonb(NEW) || jsonb_build_object('origin', 'poll', 'time', NEW.time + interval '1 second'));
        END IF;
        RETURN NEW;
      END $$`);
    await test.database.query(
      "CREATE TRIGGER spoil BEFORE INSERT ON block_load_profile FOR EACH ROW EXECUTE FUNCTION spoil()",
    );
    // Pushes whose rows a poll had read before they came.
    await test.database.query(`CREATE FUNCTION forestall() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        IF NEW.meter_id = (SELECT id FROM public.meters WHERE meter_number = 'SIM10000004') AND NEW.verdict = 'applied' THEN
          NEW.verdict := 'duplicate';
        END IF;
        RETURN NEW;
      END $$`);
    await test.database.query(
      "CREATE TRIGGER forestall BEFORE INSERT ON push_history FOR EACH ROW EXECUTE FUNCTION forestall()",
    );
    const { code, stdout } = await simulate(
      ...["--meters", "4", "--for", "3s", "--push", "instant=off", "--framing", "wrapper", "--seed", "7"],
      ...["--start", "2026-03-01T00:00:00Z", "--import"],
    );
    await test.database.query("DROP TRIGGER spoil ON block_load_profile");
    await test.database.query("DROP TRIGGER forestall ON push_history");
    expect(stdout).toMatch(/SIM10000001 sent \d+ block rows, 0 are stored/);
    expect(stdout).toMatch(/SIM10000002: \d+ block rows are stored, and not with the times or values/);
    expect(stdout).toMatch(/SIM10000003: \d+ block rows are stored, and not with the times or values/);
    expect(stdout).not.toMatch(/SIM10000004/);
    expect(code).toBe(65);
  });

  it("comes out even in a database that earlier runs have filled, with other rows or with the same", async () => {
    const even = async (...more: string[]) => {
      const { code, stdout } = await simulate(...["--meters", "5", "--seed", "7", "--json", ...more]);
      const { verification } = JSON.parse(stdout);
      expect(verification.problems).toEqual([]);
      expect(code).toBe(0);
      return verification;
    };
    // Real time goes on from one run to the next, so that they have no row in common but those of the name plates.
    const now = ["--speed", "1", "--push", "instant=1s", "--for", "3s"];
    await even(...now, "--import");
    const { rows } = await even(...now);
    expect(rows.instant.sent).toBeGreaterThanOrEqual(5);
    expect(rows.instant.stored).toBe(rows.instant.sent);
    // The same life twice: every row of one run is there already when the other tells it.
    const then = ["--start", "2026-03-01T10:00:00Z", "--for", "2s", "--incidents", "40"];
    await even(...then);
    expect((await even(...then)).rows.block.sent).toBeGreaterThan(0);
  });

  it("looks for its database before the fleet begins", async () => {
    const verifyIn = (url: string) => simulate("--for", "1h", "--meters", "3", "--verify", url);
    expect(await verifyIn("postgres://hes:secret@127.0.0.1:1/nowhere")).toMatchObject({
      code: 69,
      stderr: expect.stringMatching(
        /--verify: the database at 127\.0\.0\.1:1\/nowhere can't be used: .*ECONNREFUSED/,
      ),
    });
    expect(await verifyIn("nonsense")).toMatchObject({
      code: 64,
      stderr: expect.stringContaining('--verify: "nonsense" is no URL of a database'),
    });
    expect(await verifyIn(test.url)).toMatchObject({
      code: 65,
      stderr: expect.stringContaining("--verify: 3 of 3 meters are not in this database"),
    });
    const empty = await createTestDatabase({ empty: true });
    const answer = await verifyIn(empty.url);
    await empty.drop();
    expect(answer).toMatchObject({
      code: 69,
      stderr: expect.stringContaining("has no tables of a head-end of this version (it lacks 0001_"),
    });
  });
});
