import { Reader } from "../bytes/reader.ts";
import type {
  CosemAttributeDescriptor,
  CosemMethodDescriptor,
  SelectiveAccessDescriptor,
} from "../cosem/attribute-descriptor.ts";
import { data } from "../encoding/codec.ts";
import type { Data, DataLimits } from "../encoding/data-types.ts";
import type { AccessRequest } from "../xdlms/access.ts";
import type { ActionRequest } from "../xdlms/action.ts";
import { writeApdu } from "../xdlms/apdu.ts";
import type { GetRequest } from "../xdlms/get.ts";
import type { DataAccessResult } from "../xdlms/result-codes.ts";
import type { SetRequest } from "../xdlms/set.ts";
import { type Access, methodAccess, readAccess, writeAccess } from "./access-rights.ts";
import { CONFORMANCE } from "./mechanisms.ts";
import type { GetAnswer, InvokeAnswer, MeterObjects, Requester } from "./meter-objects.ts";
import {
  actionBlock,
  actionBlockTaken,
  actionFailed,
  actionOctets,
  actionRefused,
  getBlock,
  getBlockRefusal,
  getDataResultOctets,
  listOctets,
  refused,
  respond,
  setBlockTaken,
  setLast,
  setList,
  setNormal,
} from "./server-answers.ts";
import { IncomingBlocks, type OutgoingBlock, OutgoingBlocks } from "./server-blocks.ts";

const TAG = { get: 0xc4, set: 0xc5, action: 0xc7 } as const;

export interface ServiceSurroundings {
  readonly objects: MeterObjects;
  readonly conformance: number;
  /** Octets that a plain answer may have, its protection taken off. */
  readonly answerOctetsMax: number;
  /** Longest value that is put together from blocks. */
  readonly apduOctetsMax: number;
  readonly limits: DataLimits;
}

/** Octets of the answer in clear, and the protection that access rights ask for it. */
export interface Answer {
  readonly apdu: Buffer;
  readonly responseBits: number;
}

type Attribute = { attribute: CosemAttributeDescriptor; accessSelection: SelectiveAccessDescriptor | null };

/** A value on its way in blocks: out to the client, or in from it. */
type Long =
  | { kind: "get" | "action"; blocks: OutgoingBlocks }
  | { kind: "set"; attributes: readonly Attribute[]; isList: boolean; blocks: IncomingBlocks }
  | { kind: "invoke"; methods: readonly CosemMethodDescriptor[]; isList: boolean; blocks: IncomingBlocks };

/** GET, SET, ACTION and ACCESS at the meter's end, with lists and with blocks both ways. */
export class ServerServices {
  readonly #around: ServiceSurroundings;
  #long: Long | null = null;
  #responseBits = 0;

  constructor(around: ServiceSurroundings) {
    this.#around = around;
  }

  get(request: GetRequest, by: Requester): Answer {
    this.#responseBits = 0;
    const id = request.invokeIdAndPriority;
    if (request.kind === "next") return this.#done(this.#nextGetBlock(id, request.blockNumber));
    this.#long = null;
    if (request.kind === "normal") {
      const body = getDataResultOctets(this.#read(request, by));
      const isData = body[0] === 0;
      return this.#done(
        this.#whole(TAG.get, 1, id, body) ?? this.#beginGet(id, body.subarray(isData ? 1 : 0)),
      );
    }
    const body = listOctets(request.attributes.map((attribute) => this.#read(attribute, by)));
    return this.#done(this.#whole(TAG.get, 3, id, body) ?? this.#beginGet(id, body));
  }

  set(request: SetRequest, by: Requester): Answer {
    this.#responseBits = 0;
    const id = request.invokeIdAndPriority;
    switch (request.kind) {
      case "normal":
        return this.#done(setNormal(id, this.#write(request, request.value, by)));
      case "with-list":
        return this.#done(setList(id, this.#writeAll(request.attributes, request.values, by)));
      case "with-first-datablock":
        this.#long = this.#incoming({ kind: "set", attributes: [request], isList: false });
        return this.#done(this.#setBlock(id, request, by));
      case "with-list-and-first-datablock": {
        const { attributes } = request;
        this.#long = this.#incoming({ kind: "set", attributes, isList: true });
        return this.#done(this.#setBlock(id, request, by));
      }
      case "with-datablock":
        return this.#done(this.#setBlock(id, request, by));
    }
  }

  action(request: ActionRequest, by: Requester): Answer {
    this.#responseBits = 0;
    const id = request.invokeIdAndPriority;
    switch (request.kind) {
      case "normal":
        return this.#done(this.#invoked(id, [this.#invoke(request.method, request.parameters, by)], false));
      case "with-list":
        return this.#done(this.#invoked(id, this.#invokeAll(request.methods, request.parameters, by), true));
      case "next-pblock":
        return this.#done(this.#nextActionBlock(id, request.blockNumber));
      case "with-first-pblock":
        this.#long = this.#incoming({ kind: "invoke", methods: [request.method], isList: false });
        return this.#done(this.#actionBlock(id, request, by));
      case "with-list-and-first-pblock": {
        const { methods } = request;
        this.#long = this.#incoming({ kind: "invoke", methods, isList: true });
        return this.#done(this.#actionBlock(id, request, by));
      }
      case "with-pblock":
        return this.#done(this.#actionBlock(id, request, by));
    }
  }

  /** The answer may be longer than an APDU of the client's may be: it then goes by general block transfer. */
  access(request: AccessRequest, by: Requester): Answer {
    this.#responseBits = 0;
    const values: Data[] = [];
    const breakOnError = (request.longInvokeId & 0x2000_0000) !== 0;
    let broken = false;
    const results = request.specifications.map((specification, at) => {
      const parameters = request.data[at] ?? { type: "null-data", value: null };
      const { value, ...result } = broken
        ? { value: null, ...skipped(specification.kind) }
        : this.#accessOne(specification, parameters, by);
      values.push(value ?? { type: "null-data", value: null });
      if (breakOnError && result.result !== "success") broken = true;
      return result;
    });
    const apdu = writeApdu({
      apdu: "access-response",
      longInvokeId: request.longInvokeId,
      dateTime: null,
      specifications: null,
      data: values,
      results: results as never,
    });
    return this.#done(apdu);
  }

  #accessOne(specification: AccessRequest["specifications"][number], parameters: Data, by: Requester) {
    switch (specification.kind) {
      case "get":
      case "get-with-selection": {
        const selection = specification.kind === "get" ? null : specification.accessSelection;
        const answer = this.#read({ attribute: specification.attribute, accessSelection: selection }, by);
        if (answer.kind === "refused") return { kind: "get", result: answer.result, value: null };
        const value = answer.kind === "data" ? answer.value : this.#decoded(answer.octets);
        return { kind: "get", result: "success", value };
      }
      case "set":
      case "set-with-selection": {
        const selection = specification.kind === "set" ? null : specification.accessSelection;
        const target = { attribute: specification.attribute, accessSelection: selection };
        return { kind: "set", result: this.#write(target, parameters, by), value: null };
      }
      case "action": {
        const { result, value } = this.#invoke(specification.method, givenOf(parameters), by);
        return { kind: "action", result, value };
      }
    }
  }

  #decoded(octets: Buffer): Data {
    return data.read(new Reader(octets), this.#around.limits);
  }

  #done(apdu: Buffer): Answer {
    return { apdu, responseBits: this.#responseBits };
  }

  #may(bit: number): boolean {
    return (this.#around.conformance & bit) !== 0;
  }

  #granted(access: Access): boolean {
    if (access.kind === "granted") this.#responseBits |= access.responseBits;
    return access.kind === "granted";
  }

  #read({ attribute, accessSelection }: Attribute, by: Requester): GetAnswer {
    const { objects } = this.#around;
    const access = readAccess(objects, attribute, by);
    if (!this.#granted(access)) return refused((access as { result: DataAccessResult }).result);
    if (accessSelection !== null && !this.#may(CONFORMANCE.selectiveAccess)) return refused("other-reason");
    return objects.get(attribute, accessSelection, by);
  }

  #write({ attribute, accessSelection }: Attribute, value: Data, by: Requester): DataAccessResult {
    const { objects } = this.#around;
    const access = writeAccess(objects, attribute, by);
    if (!this.#granted(access)) return (access as { result: DataAccessResult }).result;
    if (accessSelection !== null && !this.#may(CONFORMANCE.selectiveAccess)) return "other-reason";
    return objects.set(attribute, accessSelection, value, by);
  }

  #writeAll(attributes: readonly Attribute[], values: readonly Data[], by: Requester): DataAccessResult[] {
    return attributes.map((attribute, at) => {
      const value = values[at];
      return value === undefined ? "type-unmatched" : this.#write(attribute, value, by);
    });
  }

  #invoke(method: CosemMethodDescriptor, parameters: Data | null, by: Requester): InvokeAnswer {
    const { objects } = this.#around;
    const access = methodAccess(objects, method, by);
    if (!this.#granted(access)) return actionRefused((access as { result: "read-write-denied" }).result);
    return objects.invoke(method, parameters, by);
  }

  #invokeAll(
    methods: readonly CosemMethodDescriptor[],
    parameters: readonly Data[],
    by: Requester,
  ): InvokeAnswer[] {
    return methods.map((method, at) => this.#invoke(method, givenOf(parameters[at]), by));
  }

  /** null where the answer doesn't fit into one APDU and blocks were agreed on, or may be cut by general block transfer. */
  #whole(tag: number, choice: number, id: number, body: Buffer): Buffer | null {
    const fits = body.length + 3 <= this.#around.answerOctetsMax;
    const inBlocks = this.#may(
      tag === TAG.get ? CONFORMANCE.blockTransferWithGet : CONFORMANCE.blockTransferWithAction,
    );
    return fits || !inBlocks ? respond(tag, choice, id, body) : null;
  }

  #beginGet(id: number, octets: Buffer): Buffer {
    this.#long = {
      kind: "get",
      blocks: new OutgoingBlocks(octets, this.#around.answerOctetsMax - GET_OVERHEAD),
    };
    return this.#nextGetBlock(id, 0);
  }

  #nextGetBlock(id: number, acknowledged: number): Buffer {
    const long = this.#long;
    if (long?.kind !== "get") return getBlockRefusal(id, acknowledged, "no-long-get-in-progress");
    const block = long.blocks.after(acknowledged);
    if (block === null) {
      this.#long = null;
      return getBlockRefusal(id, acknowledged, "data-block-number-invalid");
    }
    return getBlock(id, block);
  }

  #incoming<const T extends object>(fields: T): T & { blocks: IncomingBlocks } {
    return { ...fields, blocks: new IncomingBlocks(this.#around.apduOctetsMax) };
  }

  #setBlock(id: number, block: OutgoingBlock, by: Requester): Buffer {
    const long = this.#long;
    const { blockNumber } = block;
    if (long?.kind !== "set") return setLast(id, blockNumber, ["no-long-set-in-progress"], false);
    const taken = long.blocks.add(block);
    if (taken !== "taken") {
      this.#long = null;
      const result = taken === "limit" ? "long-set-aborted" : "data-block-number-invalid";
      return setLast(id, blockNumber, [result], false);
    }
    if (!block.lastBlock) return setBlockTaken(id, blockNumber);
    this.#long = null;
    const { attributes, isList } = long;
    const values = long.blocks.values(isList, this.#around.limits);
    const results: DataAccessResult[] =
      values === null ? attributes.map(() => "type-unmatched") : this.#writeAll(attributes, values, by);
    return setLast(id, blockNumber, results, isList);
  }

  #actionBlock(id: number, block: OutgoingBlock, by: Requester): Buffer {
    const long = this.#long;
    if (long?.kind !== "invoke") return actionFailed(id, "no-long-action-in-progress");
    if (long.blocks.add(block) !== "taken") {
      this.#long = null;
      return actionFailed(id, "long-action-aborted");
    }
    if (!block.lastBlock) return actionBlockTaken(id, block.blockNumber);
    this.#long = null;
    const values = long.blocks.values(long.isList, this.#around.limits);
    if (values === null) return actionFailed(id, "type-unmatched");
    return this.#invoked(id, this.#invokeAll(long.methods, values, by), long.isList);
  }

  #invoked(id: number, answers: InvokeAnswer[], isList: boolean): Buffer {
    const body = actionOctets(answers, isList);
    const whole = this.#whole(TAG.action, isList ? 3 : 1, id, body);
    if (whole !== null) return whole;
    const blocks = new OutgoingBlocks(body, this.#around.answerOctetsMax - ACTION_OVERHEAD);
    this.#long = { kind: "action", blocks };
    return this.#nextActionBlock(id, 0);
  }

  #nextActionBlock(id: number, acknowledged: number): Buffer {
    const long = this.#long;
    if (long?.kind !== "action") return actionFailed(id, "no-long-action-in-progress");
    const block = long.blocks.after(acknowledged);
    if (block !== null) return actionBlock(id, block);
    this.#long = null;
    return actionFailed(id, "long-action-aborted");
  }
}

/** Tag, choice, invoke-id, last block, block number, choice of raw data, length. */
const GET_OVERHEAD = 3 + 1 + 4 + 1 + 3;
const ACTION_OVERHEAD = 3 + 1 + 4 + 3;

/** In lists and in ACCESS a method without parameters has null-data. */
const givenOf = (parameters: Data | undefined): Data | null =>
  parameters === undefined || parameters.type === "null-data" ? null : parameters;

function skipped(kind: string) {
  const service = kind.startsWith("get") ? "get" : kind.startsWith("set") ? "set" : "action";
  return { kind: service, result: "other-reason" };
}
