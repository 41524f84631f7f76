/**
 * Look-ups that are asked for at the same time become one query: after a start every meter's counter is looked up once, and a round trip for
 * each would be most of what the database does then.
 *
 * @param ask answers in the order in which it was asked
 * @param max look-ups of one query
 */
export function askTogether<Asked, Answer>(
  ask: (asked: readonly Asked[]) => Promise<readonly Answer[]>,
  max: number,
): (asked: Asked) => Promise<Answer> {
  interface Waiting {
    readonly asked: Asked;
    readonly resolve: (answer: Answer) => void;
    readonly reject: (error: unknown) => void;
  }
  let waiting: Waiting[] = [];
  const answer = async (batch: readonly Waiting[]) => {
    try {
      const answers = await ask(batch.map(({ asked }) => asked));
      for (const [at, { resolve }] of batch.entries()) resolve(answers[at]!);
    } catch (error) {
      for (const { reject } of batch) reject(error);
    }
  };
  const send = () => {
    const all = waiting;
    waiting = [];
    for (let from = 0; from < all.length; from += max) void answer(all.slice(from, from + max));
  };
  return (asked) =>
    new Promise((resolve, reject) => {
      // What comes in this turn of the event loop goes along.
      if (waiting.push({ asked, resolve, reject }) === 1) setImmediate(send);
    });
}
