import { setFlagsFromString } from "node:v8";

/**
 * How many octets of bytecode V8 may put into one compiled function; by itself it stops at 920. Opening a push and reading its values is
 * some forty small functions deep: with room for all of them, `npm run bench -- decode` takes a tenth less time. More gains nothing.
 */
const INLINED_BYTECODE_MAX = 3_000;

/** Lets the compiler put what every push passes through into one piece. Holds for what is compiled from now on. */
export function inlineMore(): void {
  setFlagsFromString(`--max-inlined-bytecode-size-cumulative=${INLINED_BYTECODE_MAX}`);
}
