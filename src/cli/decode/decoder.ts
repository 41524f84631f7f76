import { DecodeError } from "../../dlms/bytes/errors.ts";
import { type Tree, treeOf } from "../../dlms/encoding/data-tree.ts";
import type { CosemDateTime } from "../../dlms/encoding/date-time.ts";
import { readDateTime } from "../../dlms/encoding/date-time.ts";
import { DEFAULT_LIMITS, type Limits } from "../../limits.ts";
import type { Content } from "./framing.ts";
import type { DecodeKeys } from "./keys.ts";
import type { Named, Naming } from "./naming.ts";
import { innermost, type Opened, protectionOfLayers } from "./opened.ts";
import { Opener, problemOf, readWhole, type Sender } from "./opener.ts";
import type { DecodedApdu, NamedEvent, NamedValue, Problem } from "./result.ts";
import { isoOf } from "./tree.ts";

/** One APDU in all its layers, and what its values are called: everything that is printed about it. */
export interface Decoded {
  readonly opened: Opened;
  readonly named: Named | null;
  readonly json: DecodedApdu;
}

const NOTHING: { values: NamedValue[]; events: NamedEvent[] } = { values: [], events: [] };

/** Decodes what the frames of one input, or of one session, hold. */
export class Decoder {
  readonly decoded: Decoded[] = [];
  readonly problems: Problem[] = [];
  readonly #opener: Opener;
  readonly #naming: Naming;
  #asked: Asked[] = [];

  constructor(keys: DecodeKeys, naming: Naming, limits: Limits = DEFAULT_LIMITS) {
    this.#opener = new Opener(keys, limits);
    this.#naming = naming;
  }

  decode(content: Content, sender: Sender = null): void {
    const opened = content.kind === "apdu" ? this.#opener.open(content.octets, sender) : this.#bare(content);
    for (let at: Opened | null = opened; at !== null; at = at.inner) {
      if (at.problem !== null) this.problems.push(at.problem);
    }
    // Blocks are shown when the last of them has come.
    const waiting = opened.apdu?.apdu === "general-block-transfer" && opened.inner === null;
    if (waiting && opened.problem === null) return;
    this.#show(opened);
  }

  end(): void {
    if (this.#opener.unfinished) {
      this.problems.push({ reason: "malformed", text: "blocks of a general-block-transfer are missing" });
    }
  }

  #bare(content: Content): Opened {
    const layer = {
      octets: content.octets,
      apdu: null,
      protection: null,
      inner: null,
      body: null,
      problem: null,
    };
    try {
      if (content.kind === "data") return { ...layer, body: readWhole(content.octets, this.#opener.limits) };
      if (content.octets.length > 12) throw new DecodeError("trailing", 12, "a date-time has twelve octets");
      readDateTime(content.octets, 0);
      return { ...layer, body: { type: "date-time", value: content.octets } };
    } catch (error) {
      return { ...layer, problem: problemOf(error) };
    }
  }

  #show(opened: Opened): void {
    const inner = innermost(opened);
    const named = inner.problem === null ? this.#named(inner) : null;
    const { values, events } = named ?? NOTHING;
    const time = timeOf(inner);
    const readable = inner.apdu !== null || inner.body !== null || inner.text !== undefined;
    this.decoded.push({
      opened,
      named,
      json: {
        apdu: nameOf(opened),
        direction: directionOf(nameOf(opened)),
        protection: protectionOfLayers(opened),
        plaintext:
          inner.protection === null && (readable || inner !== opened) ? inner.octets.toString("hex") : null,
        time,
        data: dataOf(inner),
        values,
        events: events.map((event) => ({ ...event, time: event.time ?? time })),
      },
    });
  }

  #named(inner: Opened): Named | null {
    const { apdu, text } = inner;
    if (text?.kind === "p1-telegram") return this.#naming.ofTelegram(text.telegram);
    if (text?.kind === "ascii-push") return this.#naming.ofBody(text.body);
    if (apdu?.apdu === "data-notification") return this.#naming.ofBody(apdu.body);
    if (apdu?.apdu === "event-notification") {
      return this.#naming.ofAttribute(attributeOf(apdu.attribute), apdu.value);
    }
    if (apdu?.apdu === "get-request") {
      if (apdu.kind === "normal") this.#asked = [attributeOf(apdu.attribute)];
      if (apdu.kind === "with-list")
        this.#asked = apdu.attributes.map(({ attribute }) => attributeOf(attribute));
    }
    if (apdu?.apdu !== "get-response") return null;
    const found =
      apdu.kind === "with-list" ? apdu.results.map((r) => (r.kind === "data" ? r.data : null)) : [inner.body];
    const all = found.map((data, index) => {
      const asked = this.#asked[index];
      return data === null || asked === undefined ? null : this.#naming.ofAttribute(asked, data);
    });
    return {
      layout: null,
      values: all.flatMap((one) => one?.values ?? []),
      events: all.flatMap((one) => one?.events ?? []),
      unexplained: null,
    };
  }
}

interface Asked {
  readonly classId: number;
  readonly logicalName: number;
  readonly attributeIndex: number;
}

function attributeOf(attribute: { classId: number; instanceId: number; attributeId: number }): Asked {
  const { classId, instanceId, attributeId } = attribute;
  return { classId, logicalName: instanceId, attributeIndex: attributeId };
}

/** An association's APDU keeps its name, whatever it carries; other envelopes have the name of what is inside. */
function nameOf(opened: Opened): string {
  const { apdu, inner } = opened;
  if (inner !== null && (apdu === null || "userInformation" in apdu === false) && inner.apdu !== null) {
    return nameOf(inner);
  }
  if (apdu !== null) return apdu.apdu;
  if (opened.text !== undefined) return opened.text.kind;
  return opened.body === null ? "unknown" : opened.body.type === "date-time" ? "date-time" : "data";
}

const REQUESTS = new Set(["aarq", "rlrq"]);
const RESPONSES = new Set(["aare", "rlre", "abrt", "data-notification-confirm", "confirmed-service-error"]);

function directionOf(name: string): DecodedApdu["direction"] {
  if (name.endsWith("-request") || REQUESTS.has(name)) return "request";
  if (name.endsWith("-response") || RESPONSES.has(name)) return "response";
  return "push";
}

function timeOf({ apdu, body }: Opened): string | null {
  let time: CosemDateTime | null = null;
  if (apdu === null && body?.type === "date-time") time = readDateTime(body.value, 0);
  if (apdu !== null && "dateTime" in apdu && !Buffer.isBuffer(apdu.dateTime)) time = apdu.dateTime;
  if (apdu?.apdu === "event-notification") time = apdu.time;
  return time === null ? null : isoOf(time);
}

function dataOf({ apdu, body }: Opened): Tree | readonly Tree[] {
  if (body !== null) return treeOf(body);
  if (apdu === null) return null;
  if (apdu.apdu === "event-notification") return treeOf(apdu.value);
  if (apdu.apdu === "set-request" && apdu.kind === "normal") return treeOf(apdu.value);
  if (apdu.apdu === "action-request" && apdu.kind === "normal" && apdu.parameters !== null) {
    return treeOf(apdu.parameters);
  }
  if (apdu.apdu === "action-response" && apdu.kind === "normal" && apdu.returnParameters?.kind === "data") {
    return treeOf(apdu.returnParameters.data);
  }
  if (apdu.apdu === "get-response" && apdu.kind === "with-list") {
    return apdu.results.map((result) => (result.kind === "data" ? treeOf(result.data) : null));
  }
  if (apdu.apdu === "read-response") {
    return apdu.results.map((result) => (result.kind === "data" ? treeOf(result.data) : null));
  }
  if (apdu.apdu === "information-report") return apdu.data.map(treeOf);
  if (apdu.apdu === "access-request" || apdu.apdu === "access-response") return apdu.data.map(treeOf);
  return null;
}
