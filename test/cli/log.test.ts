import { createSecretKey } from "node:crypto";
import { describe, expect, it } from "vitest";
import { createLog } from "../../src/log.ts";

function capture(format: "json" | "text" = "json") {
  const lines: string[] = [];
  const log = createLog({ level: "info", format }, { write: (line) => void lines.push(line) });
  return { lines, log };
}

describe("the log", () => {
  it("never writes key material, however it is handed over", () => {
    const { lines, log } = capture();
    const octets = Buffer.from("000102030405060708090a0b0c0d0e0f", "hex");
    const key = createSecretKey(octets);
    log.info(
      { guek: octets, nested: { gak: octets.toString("hex"), key }, list: [octets, key], frame: octets },
      "imported",
    );
    const text = lines.join("");
    expect(text).not.toContain("000102030405");
    expect(text).not.toContain("[0,1,2,3");
    expect(text).not.toContain("AAECAwQ");
    expect(JSON.parse(text)).toMatchObject({
      level: "info",
      msg: "imported",
      guek: "[secret]",
      frame: "[16 octets]",
    });
  });

  it("writes text for people with the error's stack", () => {
    const { lines, log } = capture("text");
    log.error({ err: new Error("no route"), peer: "10.0.0.9" }, "can't answer");
    expect(lines.join("")).toMatch(/ERROR can't answer peer=10\.0\.0\.9\nError: no route\n\s+at /);
  });

  it("lets nobody write to the terminal", () => {
    const { lines, log } = capture("text");
    const forged = "A\u001b[2J\u009b1A\r";
    log.warn({ name: forged, [`${forged}=`]: 1, err: new Error(forged) }, `no meter has the name ${forged}`);
    for (const control of ["\u001b", "\u009b", "\r"]) expect(lines.join("")).not.toContain(control);
    expect(lines.join("")).toContain("no meter has the name A\\x1b[2J");
  });
});
