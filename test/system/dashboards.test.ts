import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Metrics } from "../../src/http/metrics.ts";
import { refreshDailyLoadProfile } from "../../src/storage/daily-load-profile.ts";
import type { Database } from "../../src/storage/database.ts";
import { createEngineDatabase, ENGINES, type EngineDatabase, warnOfMissing } from "../support/engines.ts";
import { insertSampleData, SAMPLE_ZONE } from "../support/sample-data.ts";

/* Every query of the dashboards runs here: SQL on every engine, PromQL by promtool over what /metrics offers. */

const path = (name: string) => fileURLToPath(new URL(`../../deploy/${name}`, import.meta.url));
const hasPromtool = spawnSync("promtool", ["--version"]).status === 0;
if (!hasPromtool) console.warn("SKIPPED: promtool is not here: alert rules and PromQL were NOT checked");
warnOfMissing();

interface Target {
  readonly rawSql?: string;
  readonly expr?: string;
}
interface Panel {
  readonly title: string;
  readonly type: string;
  readonly gridPos: { readonly x: number; readonly w: number };
  readonly datasource: { readonly uid: string };
  readonly targets: readonly Target[];
  readonly fieldConfig: { readonly defaults: { readonly unit?: string } };
}
interface Dashboard {
  readonly uid: string;
  readonly title: string;
  readonly panels: readonly Panel[];
  readonly templating: {
    readonly list: readonly { readonly name: string; readonly type: string; readonly query: string }[];
  };
}

const dashboards = readdirSync(path("grafana/dashboards")).map((file) => ({
  file,
  board: JSON.parse(readFileSync(path(`grafana/dashboards/${file}`), "utf8")) as Dashboard,
}));
const targets = dashboards.flatMap(({ file, board }) =>
  board.panels.flatMap(({ title, type, targets: own, fieldConfig: { defaults } }) =>
    own.map((target, index) => ({
      ...{ name: `${file}: ${title} ${index + 1}`, type, unit: defaults.unit, target },
    })),
  ),
);

const DAY_MS = 86_400_000;
const instant = (ms: number) => `'${new Date(ms).toISOString()}'`;
const [from, to] = [instant(Date.now() - 4 * DAY_MS), instant(Date.now())];
const VARIABLES: Record<string, string> = {
  group: "'north','south','no group'",
  meter: "'SAMPLE-1'",
  zone: `'${SAMPLE_ZONE}'`,
};

/** What Grafana's PostgreSQL data source makes of its macros, and of variables with the format `sqlstring`. */
function expand(sql: string): string {
  return sql
    .replaceAll(/\$__timeFilter\(([^)]+)\)/g, `$1 BETWEEN ${from} AND ${to}`)
    .replaceAll("$__timeFrom()", from)
    .replaceAll("$__timeTo()", to)
    .replaceAll(/\$\{(\w+):sqlstring\}/g, (whole, name: string) => VARIABLES[name] ?? whole);
}

/** Two meters with 96 blocks a day, all of yesterday's: what counts on 48 shows more than there can be. */
async function insertQuarters(database: Database): Promise<void> {
  await database.query(
    "INSERT INTO public.meters (meter_number, meter_type) VALUES ('QUARTERS-1', 'D3'), ('QUARTERS-2', 'D3')",
  );
  for (const [table, column, value] of [
    ["block_load_profile", "voltage_l1_v", "230"],
    ["energy_measurements", "source", "'block'"],
  ]) {
    await database.query(
      `INSERT INTO ${table} (time, meter_id, origin, received_at, interval_seconds, ${column})
       SELECT day + n * interval '15 minutes', id, 'push', day + n * interval '15 minutes', 900, ${value}
         FROM public.meters, generate_series(1, 96) n,
              LATERAL (SELECT ((now() AT TIME ZONE '${SAMPLE_ZONE}')::date - 1)::timestamp AT TIME ZONE '${SAMPLE_ZONE}' AS day) d
        WHERE meter_number LIKE 'QUARTERS-%'`,
    );
  }
}

describe("the dashboards", () => {
  it("are six, with their own names and data sources", () => {
    expect(dashboards.map(({ file }) => file).sort()).toEqual([
      "completeness.json",
      "fleet.json",
      "ingest.json",
      "meter.json",
      "polls.json",
      "storage.json",
    ]);
    expect(new Set(dashboards.map(({ board }) => board.uid)).size).toBe(6);
    const sources = readFileSync(path("grafana/provisioning/datasources/dlms-hes.yaml"), "utf8");
    for (const { board } of dashboards) {
      for (const panel of board.panels) {
        expect(sources).toContain(`uid: ${panel.datasource.uid}\n`);
        expect(panel.gridPos.x + panel.gridPos.w).toBeLessThanOrEqual(24);
      }
    }
  });
});

describe.each(ENGINES)("on $name", (engine) => {
  describe.skipIf(!engine.available)("SQL of", () => {
    let one: EngineDatabase;
    beforeAll(async () => {
      one = await createEngineDatabase(engine, { migration: { timeZone: SAMPLE_ZONE } });
      await insertSampleData(one.database);
      await insertQuarters(one.database);
      await one.database.query(
        `INSERT INTO daily_load_changes SELECT id, d::date FROM public.meters,
           generate_series(current_date - 4, current_date + 1, interval '1 day') d ON CONFLICT DO NOTHING`,
      );
      await refreshDailyLoadProfile(one.database, { timeZone: SAMPLE_ZONE });
    }, 120_000);
    afterAll(() => one.drop());

    const queries = targets.filter(({ target }) => target.rawSql !== undefined);
    /** Nothing of it is in the sample data. */
    const EMPTY = [
      /meter.json: Current/,
      /What the head-end said/,
      /completeness.json: Registers and blocks/,
      /polls.json: (Missing captures|Meters whose polls|What was done)/,
    ];

    it.each(queries.map((query) => [query.name, query] as const))(
      "%s",
      async (name, { type, unit, target }) => {
        const sql = expand(target.rawSql!);
        expect(sql).not.toMatch(/\$(__|\{)/);
        const rows = await one.database.query(sql);
        if (!EMPTY.some((pattern) => pattern.test(name))) expect(rows.length).toBeGreaterThan(0);
        if (type === "timeseries" && rows.length > 0) expect(typeof rows[0]!["time"]).toBe("number");
        if (type === "stat") {
          expect(rows).toHaveLength(1);
          expect(Object.values(rows[0]!)[0]).not.toBeNull();
          if (unit === "percent") expect(Number(Object.values(rows[0]!)[0])).toBeLessThanOrEqual(100);
        }
      },
    );

    it.each(
      dashboards.flatMap(({ file, board }) =>
        board.templating.list
          .filter(({ type }) => type === "query")
          .map(({ name, query }) => [file, name, query]),
      ),
    )("%s: variable %s", async (_, __, query) => {
      expect((await one.database.query(query!)).length).toBeGreaterThan(1);
    });
  });
});

/** Every series that /metrics offers, each as a counter that goes up, for promtool. */
async function offeredSeries(): Promise<string[]> {
  const metrics = new Metrics();
  metrics.observer().rowsStored("energy_measurements", 1);
  metrics.timescale.set({
    hypertables: [
      {
        ...{ table: "energy_measurements", chunksInRows: 1, chunksInColumnstore: 1 },
        ...{ octetsBefore: 2, octetsInColumnstore: 1 },
      },
    ],
    policies: [{ policy: "columnstore", jobs: 1, failed: 0 }],
  });
  const text = await metrics.registry.metrics();
  return text.split("\n").flatMap((line) => {
    const found = /^(?<name>[a-z_]\w*)(?:\{(?<labels>.*)\})? \S+$/.exec(line)?.groups;
    if (!found) return [];
    const labels = [found["labels"], 'job="dlms-hes"', 'instance="a"'].filter(Boolean).join(", ");
    return [`${found["name"]}{${labels}}`];
  });
}

describe.skipIf(!hasPromtool)("promtool", () => {
  const folder = mkdtempSync(join(tmpdir(), "hes-promtool-"));
  afterAll(() => rmSync(folder, { recursive: true }));
  const promtool = (...args: string[]) => {
    const { status, stdout, stderr } = spawnSync("promtool", args, { encoding: "utf8" });
    return { status, text: stdout + stderr };
  };

  it("finds the alert rules right, and each fires when it should", () => {
    const checked = promtool("check", "rules", path("prometheus/dlms-hes.rules.yaml"));
    expect(checked.status, checked.text).toBe(0);
    const tried = promtool("test", "rules", path("prometheus/dlms-hes.rules.test.yaml"));
    expect(tried.status, tried.text).toBe(0);
  });

  it("finds an answer to every PromQL query over what /metrics offers, and to what the alert rules look at", async () => {
    const rules = readFileSync(path("prometheus/dlms-hes.rules.yaml"), "utf8");
    const metricsOfRules = [...rules.matchAll(/\b(hes_\w+|up)\b(?=[{[ )])/g)].map(([name]) => name);
    const queries = [
      ...targets.flatMap(({ target }) => target.expr ?? []),
      ...new Set(metricsOfRules.filter((name) => !/_max$/.test(name!))),
    ] as string[];
    expect(queries.length).toBeGreaterThan(15);
    const series = [...(await offeredSeries()), 'up{job="dlms-hes", instance="a"}'];
    const test = {
      rule_files: [],
      evaluation_interval: "1m",
      tests: [
        {
          interval: "1m",
          input_series: series.map((name, index) => ({
            series: name,
            values: `${index}+${(index % 7) + 1}x30`,
          })),
          promql_expr_test: queries.map((expr) => ({
            expr: `count(${expr}) > bool 0`,
            eval_time: "30m",
            exp_samples: [{ labels: "{}", value: 1 }],
          })),
        },
      ],
    };
    const file = join(folder, "queries.test.yaml");
    // JSON is YAML.
    writeFileSync(file, JSON.stringify(test));
    const tried = promtool("test", "rules", file);
    expect(tried.status, tried.text).toBe(0);
  });
});
