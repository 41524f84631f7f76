import type {
  GetAnswer,
  InvokeAnswer,
  MeterObjects,
  Requester,
} from "../../src/dlms/association/meter-objects.ts";
import type {
  CosemAttributeDescriptor,
  CosemMethodDescriptor,
  SelectiveAccessDescriptor,
} from "../../src/dlms/cosem/attribute-descriptor.ts";
import { parseObis } from "../../src/dlms/cosem/obis-code.ts";
import type { Data } from "../../src/dlms/encoding/data-types.ts";
import type { DataAccessResult } from "../../src/dlms/xdlms/result-codes.ts";

interface Entry {
  value: Data;
  readonly access: number;
  readonly select?: (selection: SelectiveAccessDescriptor) => GetAnswer;
}

/** A meter on paper: attributes by "class/obis/attribute", which tests fill as they need. */
export class PaperMeter implements MeterObjects {
  readonly attributes = new Map<string, Entry>();
  readonly methods = new Map<string, { access: number; run: (parameters: Data | null) => InvokeAnswer }>();
  readonly written: { name: string; value: Data }[] = [];
  readonly requests: Requester[] = [];

  attribute(
    classId: number,
    obis: string,
    attributeId: number,
    value: Data,
    access = 3,
    select?: Entry["select"],
  ): this {
    const key = nameOf(classId, parseObis(obis), attributeId);
    this.attributes.set(key, select === undefined ? { value, access } : { value, access, select });
    return this;
  }

  method(
    classId: number,
    obis: string,
    methodId: number,
    run: (parameters: Data | null) => InvokeAnswer,
    access = 1,
  ): this {
    this.methods.set(nameOf(classId, parseObis(obis), methodId), { access, run });
    return this;
  }

  attributeAccess({ classId, instanceId, attributeId }: CosemAttributeDescriptor): number | null {
    return this.attributes.get(nameOf(classId, instanceId, attributeId))?.access ?? null;
  }

  methodAccess({ classId, instanceId, methodId }: CosemMethodDescriptor): number | null {
    return this.methods.get(nameOf(classId, instanceId, methodId))?.access ?? null;
  }

  get(
    { classId, instanceId, attributeId }: CosemAttributeDescriptor,
    selection: SelectiveAccessDescriptor | null,
    by: Requester,
  ): GetAnswer {
    this.requests.push(by);
    const entry = this.attributes.get(nameOf(classId, instanceId, attributeId))!;
    if (selection !== null) return entry.select?.(selection) ?? { kind: "refused", result: "other-reason" };
    return { kind: "data", value: entry.value };
  }

  set(
    { classId, instanceId, attributeId }: CosemAttributeDescriptor,
    _: unknown,
    value: Data,
  ): DataAccessResult {
    const name = nameOf(classId, instanceId, attributeId);
    this.attributes.get(name)!.value = value;
    this.written.push({ name, value });
    return "success";
  }

  invoke({ classId, instanceId, methodId }: CosemMethodDescriptor, parameters: Data | null): InvokeAnswer {
    return this.methods.get(nameOf(classId, instanceId, methodId))!.run(parameters);
  }
}

const nameOf = (classId: number, instanceId: number, index: number) => `${classId}/${instanceId}/${index}`;
