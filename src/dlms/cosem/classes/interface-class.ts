import type { Data } from "../../encoding/data-types.ts";
import type { CosemAttributeDescriptor, CosemMethodDescriptor } from "../attribute-descriptor.ts";
import type { ObisCode } from "../obis-code.ts";
import { type DataCodec, readExactly, type ValueOf, within } from "./data-codec.ts";
import { logicalName } from "./data-strings.ts";

/**
 * An interface class of the Blue Book (IEC 62056-6-2), declared once and used at both ends: a client reads and writes an attribute through
 * its codec, a server keeps the typed object and gives out the Data of attribute n. Attribute 1, the logical name, is every class's and
 * not declared.
 */
export interface InterfaceClass<A extends Attributes = Attributes, M extends Methods = Methods> {
  readonly classId: number;
  readonly version: number;
  /** "Profile generic" */
  readonly name: string;
  readonly attributes: A & { readonly logicalName: Attribute<ObisCode> };
  readonly methods: M;
  /** The attributes by their index; holes where an index is not assigned. */
  readonly byIndex: readonly (NamedAttribute | undefined)[];
}

export interface Attribute<T = unknown> {
  /** From 1. */
  readonly index: number;
  /** static: configuration, changed by somebody; dynamic: changed by the meter itself. */
  readonly kind: "static" | "dynamic";
  /** What a client with all rights may do; what a given client may do is in its association. */
  readonly access: "read" | "write" | "read-write";
  readonly codec: DataCodec<T>;
}

export interface NamedAttribute extends Attribute {
  /** The key in `attributes`: "captureObjects". */
  readonly key: string;
  /** In the spelling of the Blue Book: "capture_objects". */
  readonly name: string;
}

export interface Method<T = unknown> {
  /** From 1. */
  readonly index: number;
  readonly parameters: DataCodec<T>;
}

export type Attributes = Readonly<Record<string, Attribute>>;
export type Methods = Readonly<Record<string, Method>>;

/** The typed object: a property for every attribute. */
export type ObjectOf<C extends InterfaceClass> = {
  -readonly [K in keyof C["attributes"]]: C["attributes"][K] extends Attribute<infer T> ? T : never;
};

export function attribute<T>(
  index: number,
  kind: Attribute["kind"],
  access: Attribute["access"],
  codec: DataCodec<T>,
): Attribute<T> {
  return { index, kind, access, codec };
}

export function method<T>(index: number, parameters: DataCodec<T>): Method<T> {
  return { index, parameters };
}

export function interfaceClass<A extends Attributes, M extends Methods>(declaration: {
  readonly classId: number;
  readonly version: number;
  readonly name: string;
  readonly attributes: A;
  readonly methods: M;
}): InterfaceClass<A, M> {
  const attributes = { logicalName: LOGICAL_NAME, ...declaration.attributes };
  const byIndex: (NamedAttribute | undefined)[] = [];
  for (const [key, one] of Object.entries<Attribute>(attributes)) {
    byIndex[one.index] = { ...one, key, name: blueBookName(key) };
  }
  return { ...declaration, attributes, byIndex };
}

const LOGICAL_NAME = attribute(1, "static", "read", logicalName);

/** "captureObjects" → "capture_objects" */
export function blueBookName(key: string): string {
  return key
    .replace(/([a-z0-9])([A-Z])/g, (_, before: string, letter: string) => `${before}_${letter}`)
    .toLowerCase();
}

/** The descriptor of an attribute for a GET or SET. */
export function attributeOf<C extends InterfaceClass>(
  { classId, attributes }: C,
  instanceId: ObisCode,
  key: keyof C["attributes"] & string,
): CosemAttributeDescriptor {
  return { classId, instanceId, attributeId: (attributes as Attributes)[key]!.index };
}

/** The descriptor of a method for an ACTION. */
export function methodOf<C extends InterfaceClass>(
  { classId, methods }: C,
  instanceId: ObisCode,
  key: keyof C["methods"] & string,
): CosemMethodDescriptor {
  return { classId, instanceId, methodId: (methods as Methods)[key]!.index };
}

/** The Data of attribute `index` of an object, or null where the class has no such attribute. @throws DataMismatch */
export function attributeData<C extends InterfaceClass>(
  { byIndex }: C,
  object: Readonly<ObjectOf<C>>,
  index: number,
): Data | null {
  const declared = byIndex[index];
  if (declared === undefined) return null;
  return within(declared.name, () =>
    declared.codec.write((object as Readonly<Record<string, unknown>>)[declared.key]),
  );
}

/**
 * Sets attribute `index` of an object from what a client wrote, as a server does: the types must be exactly the class's.
 * False where the class has no such attribute. @throws DataMismatch: "type-unmatched"
 */
export function setAttribute<C extends InterfaceClass>(
  { byIndex }: C,
  object: ObjectOf<C>,
  index: number,
  data: Data,
): boolean {
  const declared = byIndex[index];
  if (declared === undefined) return false;
  (object as Record<string, unknown>)[declared.key] = within(declared.name, () =>
    readExactly(declared.codec, data),
  );
  return true;
}

/** The value of an attribute as a client reads it. @throws DataMismatch */
export function attributeValue<C extends InterfaceClass, K extends keyof C["attributes"] & string>(
  { attributes }: C,
  key: K,
  data: Data,
): ObjectOf<C>[K] {
  return within(blueBookName(key), () => (attributes as Attributes)[key]!.codec.read(data)) as ObjectOf<C>[K];
}

export type ParametersOf<M> = M extends Method<infer T> ? T : never;
export type { ValueOf };
