import { setFlagsFromString } from "node:v8";

/**
 * How many octets of bytecode V8 may put into one compiled function; by itself it stops at 920. Opening a push and reading its values is
 * some forty small functions deep: with room for all of them, `npm run bench -- decode` takes a tenth less time. More gains nothing.
 */
const INLINED_BYTECODE_MAX = 3_000;

/**
 * Sets how V8 treats what every push passes through; holds for what is compiled from now on.
 *
 * Besides the inlining: V8 takes it that what once outlived two collections always will, and lays such objects among the old ones from the
 * start. While the database is slow the rows of pushes do that, and then their like is old for good, collected with stops of 25 to 50 ms.
 * A push lives until its COMMIT and no longer.
 */
export function setEngineFlags(): void {
  setFlagsFromString(`--max-inlined-bytecode-size-cumulative=${INLINED_BYTECODE_MAX}`);
  setFlagsFromString("--no-allocation-site-pretenuring");
}
