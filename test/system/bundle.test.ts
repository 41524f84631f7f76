import { readdirSync, readFileSync } from "node:fs";
import { isBuiltin } from "node:module";
import { dirname, join } from "node:path";
import { expect, it } from "vitest";
import { MAIN } from "../support/daemon.ts";

const folder = join(dirname(MAIN!), "main");
const files = [MAIN!, ...readdirSync(folder).map((name) => join(folder, name))].filter((file) =>
  file.endsWith(".js"),
);
const imports = files.flatMap((file) =>
  Array.from(
    readFileSync(file, "utf8").matchAll(/^(?:import|export)\b[^"\n]* from "([^"]+)"|\bimport\("([^"]+)"\)/gm),
    ([, found, late]) => ({ file, name: (found ?? late)! }),
  ),
);

it("the command is whole in itself, but for what brings machine code", () => {
  const elsewhere = imports.filter(({ name }) => !name.startsWith(".") && !isBuiltin(name));
  expect(new Set(elsewhere.map(({ name }) => name))).toEqual(new Set(["serialport"]));
  expect(imports.length).toBeGreaterThan(100);
});

it("the licences of what is in it are with it", () => {
  const licences = readFileSync(join(folder, "licences.txt"), "utf8");
  for (const name of ["pg", "zod", "pino", "fastify", "prom-client", "@nats-io/jetstream"])
    expect(licences).toMatch(
      new RegExp(`^${name} \\d+\\.\\d+\\.\\d+.*: (MIT|ISC|BSD-3-Clause|Apache-2.0)$`, "m"),
    );
});
