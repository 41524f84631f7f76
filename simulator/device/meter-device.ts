import type {
  GetAnswer,
  InvokeAnswer,
  MeterObjects,
  Requester,
} from "../../src/dlms/association/meter-objects.ts";
import { Writer } from "../../src/dlms/bytes/writer.ts";
import type {
  CosemAttributeDescriptor,
  CosemMethodDescriptor,
  SelectiveAccessDescriptor,
} from "../../src/dlms/cosem/attribute-descriptor.ts";
import { DataMismatch, readExactly } from "../../src/dlms/cosem/classes/data-codec.ts";
import { interfaceClassOf } from "../../src/dlms/cosem/classes/interface-classes.ts";
import { scriptTable } from "../../src/dlms/cosem/classes/script-table.ts";
import { formatObis } from "../../src/dlms/cosem/obis-code.ts";
import type { Data } from "../../src/dlms/encoding/data-types.ts";
import { readEpochMs, writeDateTime } from "../../src/dlms/encoding/date-time.ts";
import type { ActionResult, DataAccessResult } from "../../src/dlms/xdlms/result-codes.ts";
import { meterTime, type TimeStyle, zoneRuleOf } from "../local-time.ts";
import type { SimulatedMeter } from "../meter.ts";
import type { PushContent } from "../push-body.ts";
import { associationAttribute, objectListOf } from "./association-objects.ts";
import {
  CURRENT_ASSOCIATION,
  type DeviceModel,
  type DeviceObject,
  lastAttributeOf,
  objectKey,
} from "./device-model.ts";
import { ImageTransfer } from "./image-transfer.ts";
import { entriesInUse, readBuffer, selectRows } from "./profile-buffer.ts";
import { askingAs, attributeRights, methodRights } from "./rights.ts";

const KEY_TRANSFER = 2;

/** What stands around a meter that is talked to: its clock, its line, its counters. */
export interface DeviceHost {
  /** What the meter's clock shows, epoch ms. */
  now(): number;
  setClock(epochMs: number): void;
  push(pushes: readonly PushContent[]): void;
  /** Method 2 of its security setups. */
  transferKeys(parameters: Data | null): ActionResult;
  /** Invocation counter of an association, as 0.0.43.1.e tells it. */
  counterOf(clientSap: number): number;
  /** host:port that it pushes to. */
  readonly destination: string;
  /** Of its push setups, as they were when it was made. */
  readonly pushHabits: {
    readonly randomisationMs: number;
    readonly retries: number;
    readonly repetitionMs: number;
  };
}

const refused = (result: DataAccessResult): GetAnswer => ({ kind: "refused", result });
const answer = (result: ActionResult): InvokeAnswer => ({ result, value: null });

/** The objects of one simulated meter: what its model says, what clients have written, and what it measures and remembers. */
export class MeterDevice implements MeterObjects {
  readonly #model: DeviceModel;
  readonly #meter: SimulatedMeter;
  readonly #host: DeviceHost;
  /** By `class/logical name/attribute`; made when somebody writes. */
  #written: Map<string, Data> | null = null;
  #image: ImageTransfer | null = null;

  constructor(model: DeviceModel, meter: SimulatedMeter, host: DeviceHost) {
    this.#model = model;
    this.#meter = meter;
    this.#host = host;
  }

  attributeAccess(
    { classId, instanceId, attributeId }: CosemAttributeDescriptor,
    by: Requester,
  ): number | null {
    const object = this.#object(classId, formatObis(instanceId));
    if (object === null || attributeId < 1 || attributeId > lastAttributeOf(object)) return null;
    return attributeRights(object, attributeId, askingAs(this.#model, by.clientSap));
  }

  methodAccess({ classId, instanceId, methodId }: CosemMethodDescriptor, by: Requester): number | null {
    const object = this.#object(classId, formatObis(instanceId));
    if (object === null) return null;
    return methodRights(object, methodId, askingAs(this.#model, by.clientSap));
  }

  get(
    { classId, instanceId, attributeId }: CosemAttributeDescriptor,
    selection: SelectiveAccessDescriptor | null,
    by: Requester,
  ): GetAnswer {
    const object = this.#object(classId, formatObis(instanceId));
    if (object === null) return refused("object-undefined");
    if (attributeId === 1) return data({ type: "octet-string", value: nameOctets(object) });
    const written = this.#written?.get(`${objectKey(classId, object.logicalName)}/${attributeId}`);
    if (written !== undefined) return data(written);
    try {
      return this.#own(object, attributeId, selection, by) ?? refused("object-undefined");
    } catch (error) {
      if (error instanceof DataMismatch) return refused("type-unmatched");
      throw error;
    }
  }

  set(
    { classId, instanceId, attributeId }: CosemAttributeDescriptor,
    _selection: SelectiveAccessDescriptor | null,
    value: Data,
    _by: Requester,
  ): DataAccessResult {
    const object = this.#object(classId, formatObis(instanceId));
    if (object === null) return "object-undefined";
    const declared = interfaceClassOf(classId, object.version).byIndex[attributeId];
    try {
      if (declared !== undefined) readExactly(declared.codec, value);
    } catch (error) {
      if (error instanceof DataMismatch) return "type-unmatched";
      throw error;
    }
    if (classId === 8 && attributeId === 2) return this.#setClock(value);
    if (classId === 71 && attributeId === 4 && typeof value.value === "number")
      this.#meter.loadLimitW = value.value;
    else {
      this.#written ??= new Map();
      this.#written.set(`${objectKey(classId, object.logicalName)}/${attributeId}`, value);
    }
    return "success";
  }

  invoke(
    { classId, instanceId, methodId }: CosemMethodDescriptor,
    parameters: Data | null,
    _by: Requester,
  ): InvokeAnswer {
    const object = this.#object(classId, formatObis(instanceId));
    if (object === null) return answer("object-undefined");
    if (classId === 70) return this.#switch(methodId === 2);
    if (classId === 40) return this.#push(object.logicalName);
    if (classId === 18) return answer(this.#imageTransfer().invoke(methodId, parameters));
    if (classId === 9) return this.#execute(object, parameters);
    if (classId === 20) return this.#activateCalendar(object);
    if (classId === 64 && methodId === KEY_TRANSFER) return answer(this.#host.transferKeys(parameters));
    // Adjustments of the clock by less than a minute, of a clock that is right.
    return answer(classId === 8 ? "success" : "other-reason");
  }

  /** A number that somebody has written; null: nobody has. */
  writtenNumber(classId: number, logicalName: string, attribute: number): number | null {
    const value = this.#written?.get(`${objectKey(classId, logicalName)}/${attribute}`)?.value;
    return typeof value === "number" ? value : null;
  }

  #object(classId: number, logicalName: string): DeviceObject | null {
    return this.#model.objects.get(objectKey(classId, logicalName)) ?? null;
  }

  /** What the meter tells by itself; null where it has no such value. */
  #own(
    object: DeviceObject,
    index: number,
    selection: SelectiveAccessDescriptor | null,
    by: Requester,
  ): GetAnswer | null {
    const { classId, logicalName, profile } = object;
    if (classId === 7 && profile !== null) {
      if (index === 2) return encoded(readBuffer(this.#meter, profile, selection, this.#host.now()));
      if (index === 7) return u32(profile.present ? 1 : entriesInUse(this.#meter, profile, this.#host.now()));
    }
    const associationOf = classId === 15 ? associationSap(this.#model, logicalName, by.clientSap) : null;
    if (associationOf !== null) {
      const value =
        index === 2
          ? objectListOf(this.#model, associationOf)
          : associationAttribute(this.#model, associationOf, index);
      return value === null ? null : data(value);
    }
    const live = this.#live(object, index);
    if (live !== null) return data(live);
    const cell = object.cells.get(index);
    if (cell !== undefined) {
      const writer = new Writer(32);
      cell(writer, this.#meter.present(this.#host.now()), this.#meter.plan.style.time);
      return encoded(writer.finish());
    }
    const first = object.attributes.get(index);
    if (first === undefined) return null;
    return data(
      classId === 7 && index === 2 ? selectRows(first, object.attributes.get(3), selection) : first,
    );
  }

  #live({ classId, logicalName, counterOf }: DeviceObject, index: number): Data | null {
    const { plan, model } = this.#meter;
    switch (`${classId}/${index}`) {
      case "8/2":
        return clockData(this.#host.now(), plan.style.time);
      case "1/2":
        if (counterOf !== undefined) {
          return { type: "double-long-unsigned", value: this.#host.counterOf(counterOf) };
        }
        return logicalName === "1.0.0.8.4.255" ? { type: "long-unsigned", value: model.blockSeconds } : null;
      case "64/5":
        return { type: "octet-string", value: plan.systemTitle };
      case "40/3":
        return destination(this.#host.destination);
      case "40/5":
        return { type: "long-unsigned", value: this.#host.pushHabits.randomisationMs / 1_000 };
      case "40/6":
        return { type: "unsigned", value: this.#host.pushHabits.retries };
      case "40/7":
        return { type: "long-unsigned", value: this.#host.pushHabits.repetitionMs / 1_000 };
      case "70/2":
        return { type: "boolean", value: this.#present().registers.relay.connected };
      case "70/3":
        return { type: "enum", value: this.#present().registers.relay.connected ? 1 : 0 };
      case "71/4":
        return { type: "double-long-unsigned", value: this.#present().counts.loadLimitW };
      default:
        return classId === 18 ? (this.#image?.attribute(index) ?? ImageTransfer.idle(index)) : null;
    }
  }

  #present() {
    return this.#meter.present(this.#host.now());
  }

  #setClock(value: Data): DataAccessResult {
    const zone = zoneRuleOf(this.#meter.plan.style.time);
    const epochMs = Buffer.isBuffer(value.value) ? readEpochMs(value.value, 0, zone) : null;
    if (epochMs === null) return "type-unmatched";
    this.#host.setClock(epochMs);
    return "success";
  }

  #second(): number {
    return Math.floor(this.#host.now() / 1_000) * 1_000;
  }

  #switch(connected: boolean): InvokeAnswer {
    this.#host.push(this.#meter.switchLoad(connected, this.#second()));
    return answer("success");
  }

  #push(pushSetup: string): InvokeAnswer {
    const pushes = this.#meter.pushNow(pushSetup, this.#second());
    if (pushes === null) return answer("temporary-failure");
    this.#host.push(pushes);
    return answer("success");
  }

  #imageTransfer(): ImageTransfer {
    this.#image ??= new ImageTransfer();
    return this.#image;
  }

  /** Script tables whose scripts are known: load limit, push, image activation; a demand reset is done at the next billing date. */
  #execute(object: DeviceObject, parameters: Data | null): InvokeAnswer {
    const { logicalName } = object;
    const selector = typeof parameters?.value === "number" ? parameters.value : 0;
    if (SWITCH_SCRIPTS.has(logicalName)) return this.#switch(selector === 2);
    if (logicalName === "0.0.10.0.108.255") return this.#push(pushSetupOfScript(object, selector));
    if (logicalName === "0.0.10.0.107.255") return answer(this.#imageTransfer().invoke(4, null));
    return answer(selector === 1 ? "success" : "object-unavailable");
  }

  /** The passive calendar becomes the active one. */
  #activateCalendar(object: DeviceObject): InvokeAnswer {
    const key = objectKey(object.classId, object.logicalName);
    this.#written ??= new Map();
    for (let active = 2; active <= 5; active++) {
      const passive = this.#written.get(`${key}/${active + 4}`) ?? object.attributes.get(active + 4)!;
      this.#written.set(`${key}/${active}`, passive);
    }
    return answer("success");
  }
}

/** Script tables of load limits and of the disconnector: 1 off, 2 on. */
const SWITCH_SCRIPTS: ReadonlySet<string> = new Set(["0.0.10.0.128.255", "0.0.10.0.106.255"]);

const SCRIPTS = scriptTable.attributes.scripts.codec;

/** Logical name of the push setup whose push a script calls; empty: there is no such script. */
function pushSetupOfScript({ attributes }: DeviceObject, selector: number): string {
  const table = attributes.get(2);
  const scripts = table === undefined ? [] : SCRIPTS.read(table);
  const script = scripts.find(({ scriptIdentifier }) => scriptIdentifier === selector);
  const name = script?.actions[0]?.logicalName;
  return name === undefined ? "" : formatObis(name);
}

/** The association that an object of class 15 stands for: 0.0.40.0.0 is the one in which the question is asked. */
/** Whose association it is; null for that of a client of whom nothing is known: what was read of it stands for it. */
function associationSap({ associations }: DeviceModel, logicalName: string, current: number): number | null {
  if (logicalName === CURRENT_ASSOCIATION) return current;
  return associations.find((one) => one.logicalName === logicalName)?.clientSap ?? null;
}

const data = (value: Data): GetAnswer => ({ kind: "data", value });
const encoded = (octets: Buffer): GetAnswer => ({ kind: "encoded", octets });
const u32 = (value: number): GetAnswer => data({ type: "double-long-unsigned", value });

const nameOctets = ({ logicalName }: DeviceObject) => Buffer.from(logicalName.split(".").map(Number));

function clockData(nowMs: number, style: TimeStyle): Data {
  return { type: "octet-string", value: writeDateTime({ ...meterTime(style, nowMs), hundredths: 0 }) };
}

function destination(address: string): Data {
  return {
    type: "structure",
    value: [
      { type: "enum", value: 0 },
      { type: "octet-string", value: Buffer.from(address, "latin1") },
      { type: "enum", value: 0 },
    ],
  };
}
