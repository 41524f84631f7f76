import type { CosemMethodDescriptor } from "../cosem/attribute-descriptor.ts";
import type { Data } from "../encoding/data-types.ts";
import type { DataAccessResult } from "../xdlms/result-codes.ts";
import { type Access, methodAccess, readAccess, writeAccess } from "./access-rights.ts";
import { CONFORMANCE } from "./mechanisms.ts";
import type { AttributeAsked, GetAnswer, InvokeAnswer, MeterObjects, Requester } from "./meter-objects.ts";
import { actionRefused, refused } from "./server-answers.ts";

/** A meter's objects as one client may use them, for one request: what its rights and the conformance refuse never comes to them. */
export class GuardedObjects {
  readonly #objects: MeterObjects;
  readonly #conformance: number;
  readonly #by: Requester;
  #responseBits = 0;

  constructor(objects: MeterObjects, conformance: number, by: Requester) {
    this.#objects = objects;
    this.#conformance = conformance;
    this.#by = by;
  }

  /** The protection that the rights of what was used ask for the answer. */
  get responseBits(): number {
    return this.#responseBits;
  }

  read({ attribute, accessSelection }: AttributeAsked): GetAnswer {
    const access = this.#granted(readAccess(this.#objects, attribute, this.#by));
    if (access.kind === "denied") return refused(access.result);
    if (accessSelection !== null && !this.#selects) return refused("other-reason");
    return this.#objects.get(attribute, accessSelection, this.#by);
  }

  write({ attribute, accessSelection }: AttributeAsked, value: Data): DataAccessResult {
    const access = this.#granted(writeAccess(this.#objects, attribute, this.#by));
    if (access.kind === "denied") return access.result;
    if (accessSelection !== null && !this.#selects) return "other-reason";
    return this.#objects.set(attribute, accessSelection, value, this.#by);
  }

  writeAll(attributes: readonly AttributeAsked[], values: readonly Data[]): DataAccessResult[] {
    return attributes.map((attribute, at) => {
      const value = values[at];
      return value === undefined ? "type-unmatched" : this.write(attribute, value);
    });
  }

  invoke(method: CosemMethodDescriptor, parameters: Data | null): InvokeAnswer {
    const access = this.#granted(methodAccess(this.#objects, method, this.#by));
    if (access.kind === "denied") return actionRefused(access.result);
    return this.#objects.invoke(method, parameters, this.#by);
  }

  /** In lists, as in ACCESS, a method without parameters has null-data. */
  invokeAll(methods: readonly CosemMethodDescriptor[], parameters: readonly Data[]): InvokeAnswer[] {
    return methods.map((method, at) => this.invoke(method, givenOf(parameters[at])));
  }

  get #selects(): boolean {
    return (this.#conformance & CONFORMANCE.selectiveAccess) !== 0;
  }

  #granted(access: Access): Access {
    if (access.kind === "granted") this.#responseBits |= access.responseBits;
    return access;
  }
}

/** Parameters of a method where null-data says that there are none. */
export const givenOf = (parameters: Data | undefined): Data | null =>
  parameters === undefined || parameters.type === "null-data" ? null : parameters;
