import { expect, it } from "vitest";
import { StatusWords } from "../../src/ingest/events.ts";
import { run } from "../../src/ingest/steps.ts";
import type { MappingConfiguration } from "../../src/mapping/configuration.ts";
import type { PushOrigin, StatusWord } from "../../src/mapping/push-origin.ts";
import { stopController } from "../../src/stop.ts";
import type { MeterRecord } from "../../src/storage/meter-record.ts";

const clock = { now: () => 0, monotonic: () => 0, soon: () => undefined, after: () => () => undefined };
const patience = { stop: stopController().signal, clock };
const configuration = { statusBit: () => undefined } as unknown as MappingConfiguration;
const METERS = 100_000;

function word(codeId: number, bits: string): StatusWord {
  return { codeId, code: "0.0.96.11.2.255", bits, timeMs: 0 } as unknown as StatusWord;
}

it("what one meter's words were is forgotten without a look at those of a hundred thousand others", () => {
  const words = new StatusWords({ lastStatusWord: () => Promise.resolve(null) });
  const take = (meter: number, codeId: number) =>
    words.changes(
      word(codeId, "0"),
      { id: `meter ${meter}` } as MeterRecord,
      configuration,
      {} as PushOrigin,
    );
  for (let meter = 0; meter < METERS; meter++) take(meter, 1);
  take(7, 2);
  const started = performance.now();
  for (let meter = 0; meter < 2_000; meter++) words.forget(`meter ${meter}`);
  // Tens of milliseconds each, where all are looked at.
  expect(performance.now() - started).toBeLessThan(2_000);
  expect([words.knows("meter 7", [1]), words.knows("meter 7", [2])]).toEqual([false, false]);
  expect(words.knows("meter 2000", [1])).toBe(true);
  expect(words.knows("meter 2000", [1, 2])).toBe(false);
  expect(words.knows("meter 7", [])).toBe(true);
});

it("a word that comes while the database is asked for the last one is later than that", async () => {
  let answer = (_: string | null) => {};
  const words = new StatusWords({
    lastStatusWord: () =>
      new Promise((resolve) => {
        answer = resolve;
      }),
  });
  const meter = { id: "meter" } as MeterRecord;
  const loaded = new Promise<void>((resolve, reject) =>
    run(() => words.load(meter.id, [1], patience), resolve, reject),
  );
  words.changes(word(1, "00"), meter, configuration, {} as PushOrigin);
  answer("11");
  await loaded;
  expect(words.changes(word(1, "00"), meter, configuration, {} as PushOrigin)).toEqual([]);
});
