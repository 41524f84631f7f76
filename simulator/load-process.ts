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
 * head-end's. It is told to prepare, answers with the files to import, is told to send, answers with what was sent, and goes on
 * until the parent disconnects.
 */

export type LoadOrder =
  | { readonly order: "prepare"; readonly load: LoadOptions }
  | { readonly order: "send"; readonly send: Omit<SendOptions, "dial"> };

export type LoadAnswer =
  | {
      readonly answer: "prepared";
      readonly importCsv: string;
      readonly keysCsv: string;
      readonly pushes: number;
      readonly octets: number;
    }
  | { readonly answer: "sent"; readonly result: SendResult; readonly cpuSeconds: number }
  | { readonly answer: "failed"; readonly text: string };

let load: Load | null = null;

async function obey(message: LoadOrder): Promise<LoadAnswer> {
  if (message.order === "prepare") {
    load = prepareLoad(message.load);
    const pushes = load.pushes.reduce((sum, own) => sum + own.length, 0);
    const { importCsv, keysCsv, octets } = load;
    return { answer: "prepared", importCsv, keysCsv, pushes, octets };
  }
  if (load === null) return { answer: "failed", text: "nothing was prepared" };
  const before = process.cpuUsage();
  const result = await sendLoad(load, message.send);
  const { user, system } = process.cpuUsage(before);
  return { answer: "sent", result, cpuSeconds: (user + system) / 1e6 };
}

process.on("message", (message: LoadOrder) => {
  obey(message)
    .catch((error: unknown): LoadAnswer => ({ answer: "failed", text: String(error) }))
    .then((answer) => process.send?.(answer));
});
process.on("disconnect", () => process.exit(0));
