import { expect, it } from "vitest";
import { LastConnections, type Predecessor } from "../../src/ingest/last-connections.ts";

function connection(): Predecessor {
  return { follows: null, isBehind: () => true, catchUp: (done) => done() };
}
const title = (number: number) => number.toString(16).padStart(16, "0");

it("notes so many originators of a connection, and no more of who invents them", () => {
  const last = new LastConnections();
  const [inventive, later] = [connection(), connection()];
  for (let number = 0; number < 1_000; number++) expect(last.heard(title(number), inventive)).toBeNull();
  expect(last.heard(title(255), later)).toBe(inventive);
  expect(last.heard(title(256), later)).toBeNull();
});

it("forgets what a connection carried that is gone, unless another carries it now", () => {
  const last = new LastConnections();
  const [first, second, third] = [connection(), connection(), connection()];
  last.heard(title(1), first);
  last.heard(title(2), first);
  expect(last.heard(title(2), second)).toBe(first);
  last.forget(first);
  expect(last.heard(title(1), third)).toBeNull();
  expect(last.heard(title(2), third)).toBe(second);
});
