import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse } from "smol-toml";
import { afterAll, describe, expect, it } from "vitest";
import { jsonSchema, printJson, printToml, referencePage } from "../../src/cli/config-text.ts";
import { loadConfig } from "../../src/config.ts";
import { DEFAULT_LIMITS } from "../../src/limits.ts";
import { SETTINGS } from "../../src/settings.ts";

const folder = mkdtempSync(join(tmpdir(), "hes-config-"));
afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

describe("loading", () => {
  it("has a default for everything, and paths below data_dir", () => {
    const { config } = loadConfig(undefined, {});
    expect(config.listen.tcp).toEqual(["[::]:4059"]);
    expect(config.database.url).toBe("");
    expect(config.http.listen).toBe("127.0.0.1:8059");
    expect(config.security.kekFile).toBe(join(process.cwd(), "data/kek"));
    expect(config.spool.dir).toBe(join(process.cwd(), "data/spool"));
    expect(config.time.zone).toBe("Asia/Kolkata");
    expect(config.limits).toEqual(DEFAULT_LIMITS);
  });

  it("takes a file, then the environment, which wins, and remembers where each came from", () => {
    const path = file(
      "a.toml",
      '[limits]\nframe_ms = 5_000\ndepth_max = 7\n[time]\nzone = "Europe/Berlin"\n',
    );
    const loaded = loadConfig(path, {
      HES_LIMITS__DEPTH_MAX: "9",
      HES_DATA_DIR: "/var/lib/hes",
      PATH: "/bin",
    });
    expect(loaded.config.limits.frameMs).toBe(5000);
    expect(loaded.config.limits.depthMax).toBe(9);
    expect(loaded.config.time.zone).toBe("Europe/Berlin");
    expect(loaded.config.security.kekFile).toBe("/var/lib/hes/kek");
    expect(loaded.values.get("limits.frame_ms")?.origin).toBe(`file ${path}`);
    expect(loaded.values.get("limits.depth_max")?.origin).toBe("environment HES_LIMITS__DEPTH_MAX");
    expect(loaded.values.get("http.listen")?.origin).toBe("default");
  });

  it.each([
    ["[::]:4059", ["[::]:4059"]],
    ["[::1]:4059, 10.0.0.1:4059", ["[::1]:4059", "10.0.0.1:4059"]],
    ['["127.0.0.1:0"]', ["127.0.0.1:0"]],
    ["", []],
    ["[]", []],
  ])("reads the list %j from the environment", (text, expected) => {
    expect(loadConfig(undefined, { HES_LISTEN__TCP: text }).config.listen.tcp).toEqual(expected);
  });

  it("reads serial lines with their defaults", () => {
    const lines = '[{ path = "/dev/ttyUSB0", baud_rate = 19200 }]';
    expect(loadConfig(undefined, { HES_LISTEN__SERIAL: lines }).config.listen.serial).toEqual([
      {
        path: "/dev/ttyUSB0",
        baud_rate: 19200,
        data_bits: 8,
        parity: "none",
        stop_bits: 1,
        framing: "auto",
      },
    ]);
  });

  it("reads a secret from the file that is named for it", () => {
    const secret = file("url", "postgres://hes:s3cret@db:5432/hes\n");
    expect(loadConfig(undefined, { HES_DATABASE__URL_FILE: secret }).config.database.url).toBe(
      "postgres://hes:s3cret@db:5432/hes",
    );
    const named = file(
      "b.toml",
      `[database]\nurl = "postgres://hes@db/hes"\npassword_file = "${file("pw", "p@ss\n")}"\n`,
    );
    expect(loadConfig(named, {}).config.database.url).toBe("postgres://hes:p%40ss@db/hes");
  });
});

describe("mistakes", () => {
  it.each([
    ["[limits]\nconection_max = 5", "limits.connections_max"],
    ["[listen]\ntpc = []", "listen.tcp"],
    ['[databse]\nurl = "x"', "database.url"],
    ['zone = "UTC"', "time.zone"],
    ['[htpp]\nlisten = ""', "http.listen"],
  ])("suggests the key that was meant: %j", (text, expected) => {
    const path = file("wrong.toml", text);
    expect(() => loadConfig(path, {})).toThrow(`did you mean ${expected}?`);
  });

  it("lists every problem with its key and origin, and exits with 78", () => {
    const path = file("two.toml", '[limits]\ndepth_max = "deep"\n[time]\nzone = "Asia/Atlantis"\n');
    try {
      loadConfig(path, { HES_HTTP__LISTN: "x", HES_DATABASE__URL_FILE: "/nonexistent" });
      expect.unreachable();
    } catch (error) {
      expect(error).toMatchObject({ exitCode: 78 });
      const { message } = error as Error;
      expect(message).toContain("limits.depth_max");
      expect(message).toContain("time.zone");
      expect(message).toContain("environment HES_HTTP__LISTN");
      expect(message).toContain("/nonexistent");
    }
  });

  it.each([
    ["HES_LISTEN__TCP", "4059", "listen.tcp"],
    ["HES_LISTEN__UDP", "[::]", "listen.udp"],
    ["HES_HTTP__LISTEN", "localhost", "http.listen"],
    ["HES_DATABASE__URL", "mysql://db/hes", "database.url"],
    ["HES_DATABASE__SCHEMA", "No Schema", "database.schema"],
    ["HES_LIMITS__DEPTH_MAX", "0", "limits.depth_max"],
    ["HES_LOG__LEVEL", "loud", "log.level"],
  ])("refuses %s=%s", (name, value, key) => {
    expect(() => loadConfig(undefined, { [name]: value })).toThrow(key);
  });

  it("names file and line of broken TOML", () => {
    expect(() => loadConfig(file("broken.toml", "[limits\n"), {})).toThrow(/broken\.toml.*\n?.*1/s);
    expect(() => loadConfig(join(folder, "missing.toml"), {})).toThrow("missing.toml");
  });

  it("leaves other programs' variables alone, but not those that look like ours", () => {
    expect(() => loadConfig(undefined, { HES_BUILD_NUMBER: "7" })).not.toThrow();
    expect(() => loadConfig(undefined, { HES_DATADIR: "/x" })).toThrow("did you mean data_dir?");
  });
});

describe("printing", () => {
  const loaded = loadConfig(file("c.toml", '[database]\nurl = "postgres://hes:s3cret@db/hes"\n'), {
    HES_DATABASE__PASSWORD: "hunter2",
    HES_LIMITS__DEPTH_MAX: "9",
  });

  it("shows every setting and where it came from, and no secret", () => {
    const text = printToml(loaded);
    for (const key of SETTINGS.keys()) expect(text).toContain(`${key.slice(key.indexOf(".") + 1)} = `);
    expect(text).toContain("# from environment HES_LIMITS__DEPTH_MAX\ndepth_max = 9");
    expect(text + printJson(loaded)).not.toMatch(/s3cret|hunter2/);
    expect(JSON.parse(printJson(loaded))["limits.depth_max"]).toEqual({
      value: 9,
      origin: "environment HES_LIMITS__DEPTH_MAX",
    });
  });

  it("prints TOML that loads again", () => {
    const text = printToml(loadConfig(undefined, { HES_LIMITS__DEPTH_MAX: "9", HES_LISTEN__TCP: "[::1]:0" }));
    expect(parse(text)).toMatchObject({ limits: { depth_max: 9 }, listen: { tcp: ["[::1]:0"] } });
    expect(loadConfig(file("again.toml", text), {}).config.listen.tcp).toEqual(["[::1]:0"]);
  });

  it("describes the file as JSON Schema", () => {
    expect(jsonSchema()).toMatchObject({
      additionalProperties: false,
      properties: {
        data_dir: { type: "string" },
        limits: { properties: { depth_max: { type: "integer", default: 16 } } },
        database: { properties: { url_file: { type: "string" } } },
      },
    });
  });

  it("is what docs/reference/configuration.md says", async () => {
    await expect(referencePage()).toMatchFileSnapshot("../../docs/reference/configuration.md");
  });
});
