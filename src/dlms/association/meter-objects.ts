import type {
  CosemAttributeDescriptor,
  CosemMethodDescriptor,
  SelectiveAccessDescriptor,
} from "../cosem/attribute-descriptor.ts";
import { ACCESS_BITS } from "../cosem/classes/object-list.ts";
import type { Data } from "../encoding/data-types.ts";
import type { ActionResult, DataAccessResult } from "../xdlms/result-codes.ts";

/**
 * The objects of a logical device, as the server's side of an association asks for them. Everything is synchronous and gives a value:
 * an object that isn't there is "object-undefined", never an error. Rights and protection are checked by the association before `get`,
 * `set` and `invoke` are called; reply_to_HLS_authentication never gets here.
 */
export interface MeterObjects {
  /**
   * Access mode of an attribute for a client, in the bits of association LN version 3: see ACCESS. null: there is no such object or
   * attribute.
   */
  attributeAccess(attribute: CosemAttributeDescriptor, by: Requester): number | null;
  /** The same for a method, where bit 0 is access. */
  methodAccess(method: CosemMethodDescriptor, by: Requester): number | null;
  get(
    attribute: CosemAttributeDescriptor,
    selection: SelectiveAccessDescriptor | null,
    by: Requester,
  ): GetAnswer;
  set(
    attribute: CosemAttributeDescriptor,
    selection: SelectiveAccessDescriptor | null,
    value: Data,
    by: Requester,
  ): DataAccessResult;
  /** `parameters`: null where the request has none. */
  invoke(method: CosemMethodDescriptor, parameters: Data | null, by: Requester): InvokeAnswer;
}

/** An attribute of which all is asked, or what a selection names. */
export interface AttributeAsked {
  readonly attribute: CosemAttributeDescriptor;
  readonly accessSelection: SelectiveAccessDescriptor | null;
}

/** In whose name, and how well protected, a request came. */
export interface Requester {
  readonly clientSap: number;
  readonly serverSap: number;
  /** Bits of the security control: 0x10 authenticated, 0x20 encrypted. */
  readonly protection: number;
}

export type GetAnswer =
  | { readonly kind: "data"; readonly value: Data }
  /** The Data already encoded, its tag included: for long buffers that are served again and again. */
  | { readonly kind: "encoded"; readonly octets: Buffer }
  | { readonly kind: "refused"; readonly result: DataAccessResult };

export interface InvokeAnswer {
  readonly result: ActionResult;
  /** Return parameters; null where there are none. */
  readonly value: Data | null;
}

/** Bits of an access mode. */
export const ACCESS = ACCESS_BITS;
