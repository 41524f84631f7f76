import {
  type Load,
  type LoadOptions,
  prepareLoad,
  type SendOptions,
  type SendResult,
  sendLoad,
} from "./load.ts";

/*
 * The load generator as a process of its own, started by `child_process.fork`, so that what it costs is not counted as the
 * head-end's. It is told to prepare, answers with the files to import; is told to dial, answers when standing connections are made; is told to
 * send, answers with what was sent; and goes on until the parent disconnects.
 */

export type LoadOrder =
  | { readonly order: "prepare"; readonly load: LoadOptions }
  | { readonly order: "dial"; readonly send: Omit<SendOptions, "dial" | "dialled"> }
  | { readonly order: "send" };

export type LoadAnswer =
  | {
      readonly answer: "prepared";
      readonly importCsv: string;
      readonly keysCsv: string;
      readonly pushes: number;
      readonly octets: number;
    }
  | { readonly answer: "dialled"; readonly connections: number }
  | { readonly answer: "sent"; readonly result: SendResult; readonly cpuSeconds: number }
  | { readonly answer: "failed"; readonly text: string };

let load: Load | null = null;
let begin: (() => Promise<LoadAnswer>) | null = null;

async function obey(message: LoadOrder): Promise<LoadAnswer> {
  if (message.order === "prepare") {
    load = prepareLoad(message.load);
    const pushes = load.pushes.reduce((sum, own) => sum + own.length, 0);
    const { importCsv, keysCsv, octets } = load;
    return { answer: "prepared", importCsv, keysCsv, pushes, octets };
  }
  if (message.order === "dial") {
    return load === null ? { answer: "failed", text: "nothing was prepared" } : dial(load, message.send);
  }
  return begin === null ? { answer: "failed", text: "nothing was dialled" } : begin();
}

/** Makes the connections, and leaves in `begin` what sends over them. */
function dial(prepared: Load, send: SendOptions): Promise<LoadAnswer> {
  return new Promise((resolve, reject) => {
    let before = process.cpuUsage();
    const dialled = (connections: number) =>
      new Promise<void>((go) => {
        begin = () => {
          begin = null;
          before = process.cpuUsage();
          go();
          return sent;
        };
        resolve({ answer: "dialled", connections });
      });
    const sent = sendLoad(prepared, { ...send, dialled }).then((result): LoadAnswer => {
      const { user, system } = process.cpuUsage(before);
      return { answer: "sent", result, cpuSeconds: (user + system) / 1e6 };
    });
    sent.catch(reject);
  });
}

process.on("message", (message: LoadOrder) => {
  obey(message)
    .catch((error: unknown): LoadAnswer => ({ answer: "failed", text: String(error) }))
    .then((answer) => process.send?.(answer));
});
process.on("disconnect", () => process.exit(0));
