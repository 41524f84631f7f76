import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

export type Collector = (type: "minor" | "major") => void;

/** V8's own collection, of young objects or of all, which has no name until it is asked for. */
export function collector(): Collector {
  setFlagsFromString("--expose-gc");
  const gc = runInNewContext("gc") as (options: { type: "minor" | "major" }) => void;
  return (type) => gc({ type });
}
