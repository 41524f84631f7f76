import type { CommandLog, NewCommand, NewStep, StepEnd } from "../../src/commands/command-log.ts";
import type {
  InvokeOutcome,
  InvokeRequest,
  ReadOutcome,
  ReadRequest,
  WriteOutcome,
  WriteRequest,
} from "../../src/dlms/association/requests.ts";
import { Reader } from "../../src/dlms/bytes/reader.ts";
import { Writer } from "../../src/dlms/bytes/writer.ts";
import { formatObis, parseObis } from "../../src/dlms/cosem/obis-code.ts";
import { readData, writeData } from "../../src/dlms/encoding/data.ts";
import type { Data } from "../../src/dlms/encoding/data-types.ts";
import type { DataAccessResult } from "../../src/dlms/xdlms/result-codes.ts";
import type { MeterAssociation } from "../../src/polling/meter-association.ts";

export const dataOf = (hex: string): Data =>
  readData(new Reader(Buffer.from(hex.replaceAll(" ", ""), "hex")), { depthMax: 16, elementsMax: 20_000 });

export function hexOf(data: Data): string {
  const writer = new Writer();
  writeData(writer, data);
  return writer.finish().toString("hex");
}

/** A meter in an open association: attributes as octets by "class/logical name/attribute". What it holds is given by the test. */
export class FakeAssociation implements MeterAssociation {
  readonly meterId: string;
  readonly clientSap: number = 48;
  readonly conformance = 0x20189d;
  readonly meterSystemTitle = null;
  readonly held = new Map<string, string>();
  /** Attributes that can't be written, and what the meter answers. */
  readonly refusals = new Map<string, DataAccessResult>();
  /** "class/logical name/attribute = octets", in order. */
  readonly written: string[] = [];
  /** "class/logical name/attribute", and the parameters of a selection behind it, in order. */
  readonly asked: string[] = [];
  readonly invoked: string[] = [];
  /** Whether rows of profiles can be selected. */
  selects = true;
  /** Called in the middle of every service. */
  onRequest: (kind: "read" | "write" | "invoke", read?: readonly ReadRequest[]) => void = () => undefined;
  /** What is kept of a write; by default what was written. */
  keep: (key: string, hex: string) => string = (_key, hex) => hex;
  onInvoke: (key: string) => void = () => undefined;

  constructor(held: Readonly<Record<string, string>>, who: { meterId?: string; clientSap?: number } = {}) {
    this.meterId = who.meterId ?? "00000000-0000-4000-8000-000000000001";
    this.clientSap = who.clientSap ?? 48;
    for (const [key, hex] of Object.entries(held)) this.held.set(normal(key), hex.replaceAll(" ", ""));
  }

  async read(requests: readonly ReadRequest[]): Promise<ReadOutcome[]> {
    this.onRequest("read", requests);
    return requests.map(({ attribute, selection }) => {
      const name = `${attribute.classId}/${formatObis(attribute.instanceId)}/${attribute.attributeId}`;
      this.asked.push(selection ? `${name} ${hexOf(selection.parameters)}` : name);
      const hex = this.held.get(`${attribute.classId}/${attribute.instanceId}/${attribute.attributeId}`);
      if (hex === undefined) return { kind: "refused", result: "object-undefined" };
      if (selection && !this.selects) return { kind: "refused", result: "scope-of-access-violated" };
      return { kind: "data", value: dataOf(hex) };
    });
  }

  async write(requests: readonly WriteRequest[]): Promise<WriteOutcome[]> {
    this.onRequest("write");
    return requests.map(({ attribute, value }): WriteOutcome => {
      const key = `${attribute.classId}/${attribute.instanceId}/${attribute.attributeId}`;
      const result = this.refusals.get(key);
      if (result !== undefined) return { kind: "refused", result };
      this.written.push(`${key} = ${hexOf(value)}`);
      this.held.set(key, this.keep(key, hexOf(value)));
      return { kind: "done" };
    });
  }

  async invoke(requests: readonly InvokeRequest[]): Promise<InvokeOutcome[]> {
    this.onRequest("invoke");
    return requests.map(({ method, parameters }) => {
      const key = `${method.classId}/${method.instanceId}/${method.methodId}`;
      this.invoked.push(`${key} ${parameters === null ? "" : hexOf(parameters)}`);
      this.onInvoke(key);
      return { kind: "done", value: null };
    });
  }

  async release(): Promise<void> {}

  refuse(key: string, result: DataAccessResult): void {
    this.refusals.set(normal(key), result);
  }
}

/** Logical names as the numbers that descriptors have. */
export function normal(key: string): string {
  const [classId, logicalName, attribute] = key.split("/");
  return `${classId}/${parseObis(logicalName!)}/${attribute}`;
}

/** Keeps the log in memory. */
export class MemoryLog implements CommandLog {
  readonly commands: (NewCommand & { state: string; reason: string | null; steps: MemoryStep[] })[] = [];

  async begin(command: NewCommand): Promise<string> {
    this.commands.push({ ...command, state: "requested", reason: null, steps: [] });
    return String(this.commands.length);
  }
  async sending(commandId: string, step: NewStep): Promise<number> {
    const command = this.commands[Number(commandId) - 1]!;
    command.state = "sent";
    return command.steps.push({ ...step, state: "sent", reason: null });
  }
  async endStep(commandId: string, step: number, end: StepEnd): Promise<void> {
    Object.assign(this.commands[Number(commandId) - 1]!.steps[step - 1]!, end);
  }
  async end(commandId: string, state: StepEnd["state"], reason: string | null): Promise<void> {
    Object.assign(this.commands[Number(commandId) - 1]!, { state, reason });
  }
}

type MemoryStep = NewStep & { state: string; reason: string | null; after?: unknown };
