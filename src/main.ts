#!/usr/bin/env node
import { run } from "./cli/run.ts";

// `hes decode … | head` closes the pipe: nothing more can be said, and nothing is wrong.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  process.exit();
});

process.exitCode = await run(process.argv.slice(2));
