import { execFileSync } from "node:child_process";
import { createReadStream } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { ConfirmingMeters } from "./confirming-meters.ts";
import { exactly, type Figure } from "./figures.ts";
import { Installation } from "./installation.ts";

const WRAPPER_OCTETS = 8;
const CONFIRM_TAG = 0x10;
const PUSH_TAG = 0xdb;
/** More than a group of records and all that is read at once. */
const STRING_MAX = 4_000_000;

/** Whether strace is there and may trace. */
export function canTrace(): boolean {
  try {
    execFileSync("strace", ["-o", "/dev/null", "true"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

/** ReadyForQuery, outside a transaction: what was sent before is committed, or an error was told (PostgreSQL documentation, "Message Formats"). */
const READY = Buffer.from("5a0000000549", "hex");
const ERROR = Buffer.from("SERROR\0", "latin1");

/**
 * The daemon under strace: every confirmation that is written to a socket must come after the return of an fdatasync of the file that the
 * push it confirms was written to before that fdatasync began, or after the database has said that the transaction is over in which it was sent there.
 */
export async function strace(options: { pushes: number; meters: number; seed: number }): Promise<Figure[]> {
  const installation = await Installation.make();
  try {
    const { meters: count, seed } = options;
    const meters = new ConfirmingMeters({
      ...{ meters: count, pushesPerMeter: Math.ceil(options.pushes / count), seed, ratePerSecond: null },
      ...{ repeatMs: 60_000, onConfirmed: () => undefined },
    });
    await installation.register(meters);
    const trace = join(installation.folder, "trace");
    const calls = "trace=read,write,writev,pwrite64,pwritev,fdatasync,close,accept4";
    // -D: the daemon stays our child, and the signals that end it reach it.
    await installation.startDaemon([
      "strace",
      "-D",
      "-f",
      "-xx",
      "-s",
      `${STRING_MAX}`,
      "-e",
      calls,
      "-o",
      trace,
    ]);
    await meters.run(installation.port);
    await installation.daemon!.end("SIGTERM");
    const found = await readTrace(trace);
    return [
      exactly("pushes confirmed", meters.confirmedCount, Math.ceil(options.pushes / count) * count),
      exactly("confirmations seen by strace", found.confirmations, meters.confirmedCount),
      { name: "fdatasyncs of the spool", value: found.syncs },
      { name: "confirmations for a COMMIT that came before its fdatasync", value: found.committed },
      exactly("confirmations before their push was synced or committed", found.early, 0),
    ];
  } finally {
    await installation.remove();
  }
}

interface Push {
  readonly apdu: Buffer;
  /** File that it was written to, and when the write returned, in lines of the trace. */
  file: number | null;
  writtenAt: number;
  /** Connection to the database that it was sent over, until that has answered. */
  connection: number | null;
  committed: boolean;
}

export interface TraceReport {
  confirmations: number;
  /** Those whose push was committed and not synced. */
  committed: number;
  early: number;
  syncs: number;
}

/** Reads what strace has written, line by line. */
export async function readTrace(path: string): Promise<TraceReport> {
  const reader = new TraceReader();
  for await (const line of createInterface({ input: createReadStream(path, "latin1") })) reader.line(line);
  return reader.report;
}

/** A call that has begun in a thread and has not returned. */
interface Begun {
  readonly text: string;
  readonly at: number;
}

class TraceReader {
  readonly report: TraceReport = { confirmations: 0, committed: 0, early: 0, syncs: 0 };
  private readonly begun = new Map<string, Begun>();
  /** By socket, the push that was read last. */
  private readonly pushes = new Map<number, Push>();
  /** By file, the line at which the last fdatasync that has returned began. */
  private readonly syncedAt = new Map<number, number>();
  private at = 0;

  line(line: string): void {
    this.at++;
    const [, thread, rest] = /^(\d+)\s+(.*)$/.exec(line) ?? [];
    if (thread === undefined || rest === undefined) return;
    if (rest.endsWith("<unfinished ...>")) {
      const text = rest.slice(0, -"<unfinished ...>".length);
      this.begun.set(thread, { text, at: this.at });
      this.began(text);
      return;
    }
    const resumed = /^<\.\.\. \w+ resumed>(.*)$/.exec(rest);
    if (resumed === null) {
      this.began(rest);
      this.returned(rest, this.at);
      return;
    }
    const begun = this.begun.get(thread);
    this.begun.delete(thread);
    if (begun !== undefined) this.returned(begun.text + resumed[1], begun.at);
  }

  /** What is written has been decided when the call begins. */
  private began(text: string): void {
    const call = /^writev?\((\d+), /.exec(text);
    if (call === null) return;
    const octets = octetsOf(text);
    const isConfirmation =
      octets.length >= WRAPPER_OCTETS + 6 &&
      octets[WRAPPER_OCTETS] === CONFIRM_TAG &&
      octets.readUInt16BE(0) === 1;
    if (!isConfirmation) return;
    this.report.confirmations++;
    const push = this.pushes.get(Number(call[1]));
    if (push !== undefined && this.isSynced(push)) return;
    if (push?.committed) this.report.committed++;
    else this.report.early++;
  }

  private isSynced({ file, writtenAt }: Push): boolean {
    return file !== null && (this.syncedAt.get(file) ?? -1) > writtenAt;
  }

  private returned(text: string, begunAt: number): void {
    const call = /^(\w+)\((\d+)/.exec(text);
    if (call === null || / = -1 /.test(text)) return;
    const [, name, number] = call;
    const file = Number(number);
    if (name === "read") this.received(file, octetsOf(text));
    else if (name === "pwrite64" || name === "pwritev") this.written(file, octetsOf(text));
    else if (name === "write" || name === "writev") this.sent(file, octetsOf(text));
    else if (name === "fdatasync") {
      this.report.syncs++;
      this.syncedAt.set(file, begunAt);
    } else if (name === "close") this.pushes.delete(file);
  }

  private received(socket: number, octets: Buffer): void {
    this.answered(socket, octets);
    if (
      octets.length < WRAPPER_OCTETS + 1 ||
      octets.readUInt16BE(0) !== 1 ||
      octets[WRAPPER_OCTETS] !== PUSH_TAG
    )
      return;
    this.pushes.set(socket, {
      apdu: octets.subarray(WRAPPER_OCTETS),
      file: null,
      writtenAt: 0,
      connection: null,
      committed: false,
    });
  }

  private sent(connection: number, octets: Buffer): void {
    for (const push of this.pushes.values()) if (octets.includes(push.apdu)) push.connection = connection;
  }

  /** What a transaction that failed has held is sent again, and answered again. */
  private answered(connection: number, octets: Buffer): void {
    const isReady = octets.includes(READY);
    const isError = octets.includes(ERROR);
    if (!isReady && !isError) return;
    for (const push of this.pushes.values()) {
      if (push.connection !== connection) continue;
      push.connection = null;
      if (!isError) push.committed = true;
    }
  }

  private written(file: number, octets: Buffer): void {
    for (const push of this.pushes.values()) {
      if (push.file !== null || !octets.includes(push.apdu)) continue;
      push.file = file;
      push.writtenAt = this.at;
    }
  }
}

/** The octets of all strings of a call, as -xx prints them. */
function octetsOf(text: string): Buffer {
  const strings = [...text.matchAll(/"((?:\\x[0-9a-f]{2})*)"/g)].map(([, string]) =>
    string!.replaceAll("\\x", ""),
  );
  return Buffer.from(strings.join(""), "hex");
}
