import type { CosemMethodDescriptor } from "../cosem/attribute-descriptor.ts";
import type { DataLimits } from "../encoding/data-types.ts";
import type { AccessRequest } from "../xdlms/access.ts";
import type { ActionRequest } from "../xdlms/action.ts";
import type { GetRequest } from "../xdlms/get.ts";
import type { DataAccessResult } from "../xdlms/result-codes.ts";
import type { SetRequest } from "../xdlms/set.ts";
import { GuardedObjects } from "./guarded-objects.ts";
import { CONFORMANCE } from "./mechanisms.ts";
import type { AttributeAsked, InvokeAnswer, MeterObjects, Requester } from "./meter-objects.ts";
import { accessResponse } from "./server-access.ts";
import {
  actionBlock,
  actionBlockTaken,
  actionFailed,
  actionOctets,
  getBlock,
  getBlockRefusal,
  getDataResultOctets,
  listOctets,
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

/** A value on its way in blocks: out to the client, or in from it. */
type Long =
  | { kind: "get" | "action"; blocks: OutgoingBlocks }
  | { kind: "set"; attributes: readonly AttributeAsked[]; isList: boolean; blocks: IncomingBlocks }
  | { kind: "invoke"; methods: readonly CosemMethodDescriptor[]; isList: boolean; blocks: IncomingBlocks };

const answered = (apdu: Buffer, { responseBits }: GuardedObjects): Answer => ({ apdu, responseBits });

/** GET, SET, ACTION and ACCESS at the meter's end, with lists and with blocks both ways. */
export class ServerServices {
  readonly #around: ServiceSurroundings;
  #long: Long | null = null;

  constructor(around: ServiceSurroundings) {
    this.#around = around;
  }

  get(request: GetRequest, by: Requester): Answer {
    const objects = this.#guarded(by);
    return answered(this.#get(request, objects), objects);
  }

  set(request: SetRequest, by: Requester): Answer {
    const objects = this.#guarded(by);
    return answered(this.#set(request, objects), objects);
  }

  action(request: ActionRequest, by: Requester): Answer {
    const objects = this.#guarded(by);
    return answered(this.#action(request, objects), objects);
  }

  /** The answer may be longer than an APDU of the client's may be: it then goes by general block transfer. */
  access(request: AccessRequest, by: Requester): Answer {
    const objects = this.#guarded(by);
    return answered(accessResponse(request, objects, this.#around.limits), objects);
  }

  #guarded(by: Requester): GuardedObjects {
    return new GuardedObjects(this.#around.objects, this.#around.conformance, by);
  }

  #get(request: GetRequest, objects: GuardedObjects): Buffer {
    const id = request.invokeIdAndPriority;
    if (request.kind === "next") return this.#nextGetBlock(id, request.blockNumber);
    this.#long = null;
    if (request.kind === "normal") {
      const body = getDataResultOctets(objects.read(request));
      const isData = body[0] === 0;
      return this.#whole(TAG.get, 1, id, body) ?? this.#beginGet(id, body.subarray(isData ? 1 : 0));
    }
    const body = listOctets(request.attributes.map((attribute) => objects.read(attribute)));
    return this.#whole(TAG.get, 3, id, body) ?? this.#beginGet(id, body);
  }

  #set(request: SetRequest, objects: GuardedObjects): Buffer {
    const id = request.invokeIdAndPriority;
    switch (request.kind) {
      case "normal":
        return setNormal(id, objects.write(request, request.value));
      case "with-list":
        return setList(id, objects.writeAll(request.attributes, request.values));
      case "with-first-datablock":
        this.#long = this.#incoming({ kind: "set", attributes: [request], isList: false });
        return this.#setBlock(id, request, objects);
      case "with-list-and-first-datablock": {
        const { attributes } = request;
        this.#long = this.#incoming({ kind: "set", attributes, isList: true });
        return this.#setBlock(id, request, objects);
      }
      case "with-datablock":
        return this.#setBlock(id, request, objects);
    }
  }

  #action(request: ActionRequest, objects: GuardedObjects): Buffer {
    const id = request.invokeIdAndPriority;
    switch (request.kind) {
      case "normal":
        return this.#invoked(id, [objects.invoke(request.method, request.parameters)], false);
      case "with-list":
        return this.#invoked(id, objects.invokeAll(request.methods, request.parameters), true);
      case "next-pblock":
        return this.#nextActionBlock(id, request.blockNumber);
      case "with-first-pblock":
        this.#long = this.#incoming({ kind: "invoke", methods: [request.method], isList: false });
        return this.#actionBlock(id, request, objects);
      case "with-list-and-first-pblock": {
        const { methods } = request;
        this.#long = this.#incoming({ kind: "invoke", methods, isList: true });
        return this.#actionBlock(id, request, objects);
      }
      case "with-pblock":
        return this.#actionBlock(id, request, objects);
    }
  }

  #may(bit: number): boolean {
    return (this.#around.conformance & bit) !== 0;
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

  #setBlock(id: number, block: OutgoingBlock, objects: GuardedObjects): Buffer {
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
      values === null ? attributes.map(() => "type-unmatched") : objects.writeAll(attributes, values);
    return setLast(id, blockNumber, results, isList);
  }

  #actionBlock(id: number, block: OutgoingBlock, objects: GuardedObjects): Buffer {
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
    return this.#invoked(id, objects.invokeAll(long.methods, values), long.isList);
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
