import { describe, expect, it } from "vitest";
import { commandsPage } from "../../src/cli/commands-page.ts";
import { exitCodeOf, explain } from "../../src/cli/failure.ts";
import { rootCommand, run } from "../../src/cli/run.ts";
import { EXIT, UserError } from "../../src/exit.ts";
import { EnvelopeError } from "../../src/keys/envelope.ts";
import { StorageError } from "../../src/storage/storage-error.ts";

async function hes(...argv: string[]) {
  let stdout = "";
  let stderr = "";
  const code = await run(argv, {
    write: (text) => {
      stdout += text;
    },
    error: (text) => {
      stderr += text;
    },
  });
  return { code, stdout, stderr };
}

describe("the command line", () => {
  it("tells its version and its commands", async () => {
    expect(await hes("--version")).toEqual({ code: 0, stdout: "0.1.0\n", stderr: "" });
    const help = await hes("help");
    expect(help.code).toBe(0);
    expect(help.stdout).toContain("config");
  });

  it.each([[["cofnig"]], [["config", "prnt"]], [["config", "print", "--jsn"]], [["--confg", "x"]], [[]]])(
    "answers a wrong command line %j with 64 and a sentence",
    async (argv) => {
      const { code, stderr } = await hes(...argv);
      expect(code).toBe(64);
      expect(stderr).not.toMatch(/\n\s+at /);
      expect(stderr.length).toBeGreaterThan(10);
    },
  );

  it("doesn't take the value of an option for a command", async () => {
    expect(await hes("--config", "serve", "config", "check")).toMatchObject({
      code: 78,
      stderr: expect.stringContaining("configuration file serve"),
    });
  });

  it("answers a wrong configuration with 78", async () => {
    const { code, stderr } = await hes("--config", "/nonexistent/hes.toml", "config", "check");
    expect(code).toBe(78);
    expect(stderr).toMatch(/^hes: .*\/nonexistent\/hes\.toml/);
    expect(stderr).not.toMatch(/\n\s+at /);
  });

  it("lets no meter write to the terminal", async () => {
    // A visible-string of a DataNotification: ESC [ 2 J, and the control sequence introducer of eight bits in a utf8-string.
    for (const octets of ["0a041b5b324a", "0c05c29b324a41"]) {
      for (const options of [[], ["--explain"], ["--json"]]) {
        const { code, stdout, stderr } = await hes("decode", ...options, `0f0000000100${octets}`);
        expect(code).toBe(0);
        expect(stdout).toContain("2J");
        for (const control of ["\u001b", "\u009b"]) expect(stdout + stderr).not.toContain(control);
      }
    }
  });

  it("is what docs/reference/commands.md says", async () => {
    await expect(commandsPage(await rootCommand())).toMatchFileSnapshot("../../docs/reference/commands.md");
  });
});

describe("failures", () => {
  it.each([
    [new UserError(EXIT.data, "line 7: no such meter type"), 65],
    [Object.assign(new Error("connect ECONNREFUSED 127.0.0.1:5432"), { code: "ECONNREFUSED" }), 69],
    [Object.assign(new Error("bind EADDRINUSE 0.0.0.0:4059"), { code: "EADDRINUSE" }), 69],
    [Object.assign(new Error("ENOENT: no such file, open 'meters.csv'"), { code: "ENOENT" }), 65],
    [new StorageError("internal", "permission denied for table meter_keys", { sqlState: "42501" }), 78],
    [new EnvelopeError("Key 5 was sealed with key-encryption key 00, which is not there any more"), 78],
    [new TypeError("x is not a function"), 70],
  ])("%s ends with %i", (error, code) => {
    expect(exitCodeOf(error)).toBe(code);
    expect(/\n\s+at /.test(explain(error))).toBe(code === 70);
  });
});
