import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { LoadOptions, SendOptions, SendResult } from "../../simulator/load.ts";
import type { LoadAnswer, LoadOrder } from "../../simulator/load-process.ts";

/** The load generator, as a process of its own. */
export class Generator {
  readonly #child: ChildProcess;

  constructor() {
    this.#child = fork(fileURLToPath(new URL("../../simulator/load-process.js", import.meta.url)));
  }

  async prepare(load: LoadOptions): Promise<Extract<LoadAnswer, { answer: "prepared" }>> {
    const answer = await this.#order({ order: "prepare", load });
    if (answer.answer !== "prepared") throw new Error(`the generator answered ${JSON.stringify(answer)}`);
    return answer;
  }

  /** Makes the standing connections, if there are to be any; how many. */
  async dial(send: Omit<SendOptions, "dial" | "dialled">): Promise<number> {
    const answer = await this.#order({ order: "dial", send });
    if (answer.answer !== "dialled") throw new Error(`the generator answered ${JSON.stringify(answer)}`);
    return answer.connections;
  }

  async send(): Promise<{ result: SendResult; cpuSeconds: number }> {
    const answer = await this.#order({ order: "send" });
    if (answer.answer !== "sent") throw new Error(`the generator answered ${JSON.stringify(answer)}`);
    return answer;
  }

  end(): void {
    this.#child.disconnect();
  }

  async #order(order: LoadOrder): Promise<LoadAnswer> {
    this.#child.send(order);
    const [answer] = (await once(this.#child, "message")) as [LoadAnswer];
    return answer;
  }
}
