import { readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), "..");

interface Source {
  readonly path: string;
  readonly text: string;
  /** Files of the project, by path from the root; modules of Node and packages by name. */
  readonly imports: readonly { readonly target: string; readonly typeOnly: boolean }[];
}

function filesBelow(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".ts"))
    .map((entry) => relative(ROOT, join(entry.parentPath, entry.name)));
}

const IMPORT = /^(?:import|export)\s(type\s)?(?:[^;"]*?\sfrom\s)?"([^"]+)"/gm;
const DYNAMIC_IMPORT = /\bimport\("([^"]+)"\)/g;

function read(path: string): Source {
  const text = readFileSync(join(ROOT, path), "utf8");
  const found = [
    ...[...text.matchAll(IMPORT)].map((match) => ({ name: match[2]!, typeOnly: match[1] !== undefined })),
    ...[...text.matchAll(DYNAMIC_IMPORT)].map((match) => ({ name: match[1]!, typeOnly: false })),
  ];
  const imports = found.map(({ name, typeOnly }) => ({
    target: name.startsWith(".") ? relative(ROOT, resolve(ROOT, dirname(path), name)) : name,
    typeOnly,
  }));
  return { path, text, imports };
}

const sources = [...filesBelow("src"), ...filesBelow("simulator")].map(read);
const inside = (folder: string) => sources.filter(({ path }) => path.startsWith(folder));
const offences = (list: readonly Source[], forbidden: (target: string, typeOnly: boolean) => boolean) =>
  list.flatMap(({ path, imports }) =>
    imports.filter((i) => forbidden(i.target, i.typeOnly)).map((i) => `${path} imports ${i.target}`),
  );

/** For each part of the protocol: the parts it may use besides itself. */
const PROTOCOL: Record<string, readonly string[]> = {
  bytes: [],
  encoding: ["bytes"],
  cosem: ["encoding", "bytes"],
  xdlms: ["cosem", "encoding", "bytes"],
  hdlc: ["bytes"],
  wrapper: ["bytes"],
  mbus: ["bytes"],
  text: ["cosem", "encoding", "bytes"],
  acse: ["encoding", "bytes"],
  security: ["bytes"],
  association: ["acse", "xdlms", "security", "cosem", "encoding", "bytes", "hdlc", "wrapper"],
};

describe("who may import whom", () => {
  it("nothing under dlms/ imports anything outside it; only security uses node:crypto", () => {
    expect(
      offences(inside("src/dlms/"), (target) => !target.startsWith("src/dlms/") && target !== "node:crypto"),
    ).toEqual([]);
    expect(
      offences(
        inside("src/dlms/").filter(({ path }) => !path.startsWith("src/dlms/security/")),
        (target) => target === "node:crypto",
      ),
    ).toEqual([]);
  });

  it.each(Object.entries(PROTOCOL))("dlms/%s imports only %j", (part, allowed) => {
    const may = [part, ...allowed].map((name) => `src/dlms/${name}/`);
    expect(
      offences(
        inside(`src/dlms/${part}/`),
        (target) => target.startsWith("src/") && !may.some((folder) => target.startsWith(folder)),
      ),
    ).toEqual([]);
  });

  it("every part of dlms/ stands in the table", () => {
    const parts = new Set(inside("src/dlms/").map(({ path }) => path.split("/")[2]!));
    expect([...parts].filter((part) => !(part in PROTOCOL))).toEqual([]);
  });

  it("only transports see sockets, only storage sees pg, only schedule sees node-cron, only its log sees NATS", () => {
    const outside = (folder: string) => sources.filter(({ path }) => !path.startsWith(folder));
    const sockets = new Set(["node:net", "node:dgram", "node:tls", "serialport"]);
    expect(offences(outside("src/transports/"), (target) => sockets.has(target))).toEqual([]);
    expect(
      offences(outside("src/storage/"), (target) => target === "pg" || target === "pg-copy-streams"),
    ).toEqual([]);
    expect(offences(outside("src/schedule/"), (target) => target === "node-cron")).toEqual([]);
    expect(
      offences(outside("src/durable-log/jetstream/"), (target) => target.startsWith("@nats-io/")),
    ).toEqual([]);
  });

  it("only config.ts reads the environment", () => {
    const readers = sources.filter(({ text }) => /process\.env\b/.test(text)).map(({ path }) => path);
    expect(readers.filter((path) => path !== "src/config.ts")).toEqual([]);
  });

  it("storage knows rows and SQL, mapping knows rows and the protocol", () => {
    expect(
      offences(inside("src/storage/"), (target) =>
        ["src/dlms/", "src/ingest/", "src/transports/", "src/cli/"].some((f) => target.startsWith(f)),
      ),
    ).toEqual([]);
    expect(
      offences(inside("src/mapping/"), (target) =>
        ["src/storage/", "src/ingest/", "src/transports/", "src/cli/"].some((f) => target.startsWith(f)),
      ),
    ).toEqual([]);
  });

  it("the durable log knows nothing of what it keeps: it imports itself, the clock and who a process is", () => {
    const may = ["src/durable-log/", "src/clock.ts", "src/process-identity.ts"];
    expect(
      offences(
        inside("src/durable-log/"),
        (target) => target.startsWith("src/") && !may.some((folder) => target.startsWith(folder)),
      ),
    ).toEqual([]);
  });

  it("the simulator takes its protocol from src/dlms, its pipes from src/transports, its object lists from src/catalogue", () => {
    expect(
      offences(
        inside("simulator/"),
        (target) =>
          target.startsWith("src/") &&
          !target.startsWith("src/dlms/") &&
          !target.startsWith("src/catalogue/") &&
          !target.startsWith("src/transports/"),
      ),
    ).toEqual([]);
  });

  it("nothing under dlms/ is async or looks at a clock", () => {
    const offenders = inside("src/dlms/").filter(({ text }) =>
      /\basync\s+(function|\()|\bawait\b|Date\.now\(|new Date\(\)|setTimeout|setInterval|Math\.random/.test(
        text,
      ),
    );
    expect(offenders.map(({ path }) => path)).toEqual([]);
  });
});

describe("the shape of the tree", () => {
  it("has no import cycles", () => {
    const graph = new Map(
      sources.map(({ path, imports }) => [path, imports.filter((i) => !i.typeOnly).map((i) => i.target)]),
    );
    const state = new Map<string, "open" | "done">();
    const cycles: string[] = [];
    const visit = (path: string, trail: readonly string[]): void => {
      if (state.get(path) === "done" || !graph.has(path)) return;
      if (state.get(path) === "open") {
        cycles.push([...trail.slice(trail.indexOf(path)), path].join(" → "));
        return;
      }
      state.set(path, "open");
      for (const target of graph.get(path)!) visit(target, [...trail, path]);
      state.set(path, "done");
    };
    for (const path of graph.keys()) visit(path, []);
    expect(cycles).toEqual([]);
  });

  it("has no barrels and no drawers", () => {
    const drawer = /(^|\/)(index|utils?|helpers?|common|misc|managers?|services?)(\.ts$|\/)/;
    expect(sources.map(({ path }) => path).filter((path) => drawer.test(path))).toEqual([]);
  });

  it("names files in kebab-case and keeps them short", () => {
    const odd = sources.filter(({ path }) => !/^[a-z0-9./-]+$/.test(path)).map(({ path }) => path);
    expect(odd).toEqual([]);
    const long = sources.filter(({ text }) => text.split("\n").length > 400).map(({ path }) => path);
    expect(long).toEqual([]);
  });

  it("imports only files that are there", () => {
    const missing = sources.flatMap(({ path, imports }) =>
      imports
        .filter((i) => i.target.endsWith(".ts") && !statSync(join(ROOT, i.target), { throwIfNoEntry: false }))
        .map((i) => `${path} imports ${i.target}`),
    );
    expect(missing).toEqual([]);
  });
});
