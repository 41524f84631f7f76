import { expect, it } from "vitest";
import type { Clock } from "../../src/clock.ts";
import { InTurn } from "../../src/ingest/in-turn.ts";
import { LastConnections } from "../../src/ingest/last-connections.ts";
import { hex } from "../support/associations.ts";

/** general-glo-ciphering of the originator 53494D0000000001, as far as its order is concerned. */
const APDU = hex("DB0853494D0000000001");

/** Two connections over which one originator is heard; what the first is asked for, and a clock that is moved by hand. */
function twoConnections() {
  const asked: string[] = [];
  const soon: (() => void)[] = [];
  const clock = { soon: (call: () => void) => soon.push(call) } as unknown as Clock;
  const around = { lastConnections: new LastConnections(), clock };
  const first = { isClosed: false, isBehind: true };
  let allTaken = () => {};
  const session = (of: typeof first) => ({
    get isClosed() {
      return of.isClosed;
    },
    get isBehind() {
      return of.isBehind;
    },
    regulate: () => asked.push(`regulate, ${turn.isHurried ? "in a hurry" : "no hurry"}`),
    takeIn: () => asked.push("take in"),
    takenIn: (call: () => void) => {
      asked.push("taken in?");
      allTaken = call;
    },
  });
  const turn = new InTurn(session(first), around);
  const next = new InTurn(session({ isClosed: false, isBehind: false }), around);
  turn.afterPredecessor(APDU, () => asked.push("first begins"));
  next.afterPredecessor(APDU, () => asked.push("next begins"));
  return { asked, soon, first, turn, next, allTaken: () => allTaken(), around };
}

it("what comes over the next connection waits until the sockets were looked at once, and what was read before is taken in", () => {
  const { asked, soon, turn, next, allTaken } = twoConnections();
  const before = ["first begins", "regulate, in a hurry"];
  expect(asked).toEqual(before);
  expect(next.follows).toBe(turn);
  soon.shift()!();
  expect(asked).toEqual(before);
  soon.shift()!();
  expect(turn.isHurried).toBe(false);
  // However much is on its way to the database: the next would overtake what stands here.
  expect(asked).toEqual([...before, "take in", "taken in?"]);
  allTaken();
  expect(asked.at(-1)).toBe("next begins");
  expect(next.follows).toBeNull();
});

it("nothing comes any more over a connection that is closed: what was read is taken in at once", () => {
  const { first, turn, asked, soon } = twoConnections();
  asked.length = 0;
  first.isClosed = true;
  turn.catchUp(() => asked.push("done"));
  expect(asked).toEqual(["take in", "taken in?"]);
  expect(soon).toHaveLength(1);
});

/** What becomes of one more connection over which the same originator is heard. */
function oneMore({ around, asked }: Pick<ReturnType<typeof twoConnections>, "around" | "asked">): string[] {
  asked.length = 0;
  const session = { isClosed: false, isBehind: false, regulate() {}, takeIn() {}, takenIn() {} };
  new InTurn(session, around).afterPredecessor(APDU, () => asked.push("begins"));
  return asked;
}

it.each([
  ["is not behind", true],
  ["is behind", false],
])("a connection that %s lets the next begin at once: %s", (what, begins) => {
  const world = twoConnections();
  world.turn.afterPredecessor(APDU, () => {});
  world.first.isBehind = what === "is behind";
  expect(oneMore(world).includes("begins")).toBe(begins);
});

it("a connection that has ended is waited for no longer", () => {
  const world = twoConnections();
  world.turn.afterPredecessor(APDU, () => {});
  world.turn.end();
  expect(oneMore(world)).toEqual(["begins"]);
});
