import { describeRefusal, type ReadOutcome, type ReadRequest } from "../dlms/association/requests.ts";
import { DataMismatch } from "../dlms/cosem/classes/data-codec.ts";
import { attributeValue } from "../dlms/cosem/classes/interface-class.ts";
import { interfaceClassOf } from "../dlms/cosem/classes/interface-classes.ts";
import {
  ACCESS_BITS,
  attributeAccessBits,
  type ObjectListElement,
} from "../dlms/cosem/classes/object-list.ts";
import { profileGeneric } from "../dlms/cosem/classes/profile-generic.ts";
import type { ModelAssociation, ModelAttribute, ModelObject } from "../dlms/cosem/meter-model.ts";
import { obisToOctets } from "../dlms/cosem/obis-code.ts";
import { entriesFromTo } from "../dlms/cosem/selective-access.ts";
import type { Data } from "../dlms/encoding/data-types.ts";
import { type MeterAssociation, PollError } from "./meter-association.ts";
import { readObjectList } from "./object-list.ts";

export interface ModelReading {
  /** SAP of the logical device. */
  readonly serverSap: number;
  /** Newest rows of each profile that are read. */
  readonly rowsMax: number;
  /** Told before each object is read. */
  readonly onObject?: (object: ObjectListElement, index: number, count: number) => void;
  /** Opens the association anew where it broke at an object; without it reading ends there. */
  readonly reopen?: () => Promise<MeterAssociation>;
}

/** Objects in a row at which the association may break before reading is given up. */
const BREAKS_MAX = 3;

/** What was read so far, through one association after the other. */
export class ModelBuilder {
  readonly associations: ModelAssociation[] = [];
  readonly #objects = new Map<string, ModelObject & { readonly attributes: Map<number, ModelAttribute> }>();

  get objects(): ModelObject[] {
    return [...this.#objects.values()];
  }

  /** The attributes of an object as far as they are read. */
  attributesOf({ classId, version, logicalName }: ObjectListElement): Map<number, ModelAttribute> {
    const key = `${classId}/${logicalName}`;
    let object = this.#objects.get(key);
    if (object === undefined) {
      object = { classId, version, logicalName, attributes: new Map() };
      this.#objects.set(key, object);
    }
    return object.attributes;
  }
}

/**
 * Walks the object list of an open association and reads every attribute that it may read and no association before it could.
 * What is refused, or answered by what makes no sense, is noted with the meter's answer; so is where the association broke. Secrets are
 * not read.
 * @throws ObjectListUnreadable; PollError where it breaks again and again
 */
export async function readModel(
  association: MeterAssociation,
  builder: ModelBuilder,
  reading: ModelReading,
): Promise<void> {
  const { objects, version } = await readObjectList(association);
  builder.associations.push({
    clientSap: association.clientSap,
    serverSap: reading.serverSap,
    version,
    conformance: association.conformance,
    objectList: objects,
  });
  let current = association;
  let breaks = 0;
  for (const [index, object] of objects.entries()) {
    reading.onObject?.(object, index, objects.length);
    const attributes = builder.attributesOf(object);
    try {
      await readObject(current, attributes, object, version, reading);
      breaks = 0;
    } catch (error) {
      if (!isBroken(error) || reading.reopen === undefined || ++breaks > BREAKS_MAX) throw error;
      noteMissing(attributes, object, error.message);
      current = await reading.reopen();
    }
  }
}

const isBroken = (error: unknown): error is PollError =>
  error instanceof PollError && (error.failure === "timeout" || error.failure === "connection-lost");

/** What was not read before the association broke. */
function noteMissing(
  attributes: Map<number, ModelAttribute>,
  object: ObjectListElement,
  reason: string,
): void {
  for (const index of indicesOf(object)) {
    if (!attributes.has(index)) attributes.set(index, { kind: "missing", reason });
  }
}

/** An answer that can't be understood, in an association that stands. */
type Answer = ReadOutcome | { readonly kind: "unreadable"; readonly reason: string };

/** An answer to each; where one of several spoils them all, each by itself. @throws PollError where the association breaks */
async function readEach(association: MeterAssociation, requests: readonly ReadRequest[]): Promise<Answer[]> {
  try {
    return await association.read(requests);
  } catch (error) {
    if (!(error instanceof PollError) || !error.associationStands) throw error;
    if (requests.length === 1) return [{ kind: "unreadable", reason: error.message }];
    const answers: Answer[] = [];
    for (const request of requests) answers.push(...(await readEach(association, [request])));
    return answers;
  }
}

/** Passwords, secrets and keys by class: they don't belong into a file that is handed around. */
const SECRETS: ReadonlyMap<number, readonly number[]> = new Map([
  [12, [7]],
  [15, [7]],
  [19, [7, 8, 9]],
  [44, [5]],
  [45, [3]],
  [100, [6, 7]],
]);

const PROFILE = 7;
const BUFFER = 2;
const ASSOCIATION_LN = 15;
const CONTEXT_INFO = 5;

async function readObject(
  association: MeterAssociation,
  attributes: Map<number, ModelAttribute>,
  object: ObjectListElement,
  associationVersion: number,
  reading: ModelReading,
): Promise<void> {
  attributes.set(1, {
    kind: "data",
    data: { type: "octet-string", value: obisToOctets(object.logicalName) },
  });
  const readable: number[] = [];
  for (const index of indicesOf(object)) {
    if (attributes.get(index)?.kind === "data") continue;
    const reason = whyNot(object, index, associationVersion);
    if (reason === null) readable.push(index);
    else if (!attributes.has(index)) attributes.set(index, { kind: "missing", reason });
  }
  const single = readable.filter((index) => object.classId !== PROFILE || index !== BUFFER);
  if (single.length > 0) {
    const outcomes = await readEach(
      association,
      single.map((index) => requestOf(object, index)),
    );
    single.forEach((index, at) => {
      attributes.set(index, attributeOf(object, index, outcomes[at]!));
    });
  }
  if (single.length < readable.length) {
    attributes.set(BUFFER, await readBuffer(association, object, attributes, reading.rowsMax));
  }
}

/** The attributes that the object list names; those of the class where it names none. */
function indicesOf({ classId, version, accessRights }: ObjectListElement): number[] {
  const named = accessRights.attributeAccess.map(({ attributeId }) => attributeId).filter((id) => id > 1);
  if (named.length > 0) return named;
  return interfaceClassOf(classId, version).byIndex.flatMap((one) =>
    one === undefined || one.index === 1 ? [] : one.index,
  );
}

/** Why an attribute isn't read; null: it is. */
function whyNot(
  { classId, accessRights }: ObjectListElement,
  index: number,
  associationVersion: number,
): string | null {
  if (SECRETS.get(classId)?.includes(index)) return "secret";
  const rights = accessRights.attributeAccess.find(({ attributeId }) => attributeId === index);
  if (rights === undefined) return null;
  return attributeAccessBits(associationVersion, rights.accessMode) & ACCESS_BITS.read
    ? null
    : "not readable";
}

const requestOf = ({ classId, logicalName }: ObjectListElement, attributeId: number): ReadRequest => ({
  attribute: { classId, instanceId: logicalName, attributeId },
});

function attributeOf(object: ObjectListElement, index: number, outcome: Answer): ModelAttribute {
  if (outcome.kind === "unreadable") return { kind: "missing", reason: outcome.reason };
  if (outcome.kind !== "data") return { kind: "missing", reason: describeRefusal(outcome) };
  const isContext = object.classId === ASSOCIATION_LN && index === CONTEXT_INFO;
  return { kind: "data", data: isContext ? withoutKey(outcome.value) : outcome.value };
}

/** The dedicated key is the last element of xDLMS_context_info. */
function withoutKey(data: Data): Data {
  if (data.type !== "structure") return data;
  return {
    type: "structure",
    value: data.value.map((one, index) =>
      index === data.value.length - 1 && one.type === "octet-string"
        ? { ...one, value: Buffer.alloc(0) }
        : one,
    ),
  };
}

/** The newest rows. How many there are and how they are sorted was read before; where that isn't known, the first rows are. */
async function readBuffer(
  association: MeterAssociation,
  object: ObjectListElement,
  attributes: ReadonlyMap<number, ModelAttribute>,
  rowsMax: number,
): Promise<ModelAttribute> {
  const entries = profileValue(attributes, "entriesInUse");
  const isWhole = entries !== null && entries <= rowsMax;
  const newestFirst = entries === null || profileValue(attributes, "sortMethod") === "lifo";
  const from = newestFirst ? 1 : Math.max(1, entries - rowsMax + 1);
  const selection = entriesFromTo(from, newestFirst ? rowsMax : entries);
  const [outcome] = await readEach(association, [
    { ...requestOf(object, BUFFER), selection: isWhole ? null : selection },
  ]);
  const attribute = attributeOf(object, BUFFER, outcome!);
  if (attribute.kind === "data" || isWhole) return attribute;
  return { kind: "missing", reason: `${attribute.reason} (asked for ${rowsMax} of its rows)` };
}

function profileValue<K extends "entriesInUse" | "sortMethod">(
  attributes: ReadonlyMap<number, ModelAttribute>,
  key: K,
) {
  const one = attributes.get(profileGeneric.attributes[key].index);
  if (one?.kind !== "data") return null;
  try {
    return attributeValue(profileGeneric, key, one.data);
  } catch (error) {
    if (error instanceof DataMismatch) return null;
    throw error;
  }
}
