import { createSecretKey, type KeyObject } from "node:crypto";
import { isAcseTag, readAcse } from "../../dlms/acse/apdu.ts";
import { DecodeError } from "../../dlms/bytes/errors.ts";
import { Reader } from "../../dlms/bytes/reader.ts";
import { type Data, type DataLimits, readData } from "../../dlms/encoding/data.ts";
import { SecurityError } from "../../dlms/security/errors.ts";
import { unwrapKey } from "../../dlms/security/key-wrap.ts";
import { HEADER_OCTETS, readSecurityHeader, TAG_OCTETS, unprotect } from "../../dlms/security/protection.ts";
import { AUTHENTICATED, protectionOf } from "../../dlms/security/security-control.ts";
import { asciiPushBody, readAsciiPush } from "../../dlms/text/ascii-push.ts";
import { readTelegram, TELEGRAM_START } from "../../dlms/text/p1-telegram.ts";
import { type Apdu, readApdu } from "../../dlms/xdlms/apdu.ts";
import { BlockAssembly } from "../../dlms/xdlms/block-assembly.ts";
import { authenticatedHeader, type GeneralCiphering } from "../../dlms/xdlms/ciphered.ts";
import type { GeneralBlockTransfer } from "../../dlms/xdlms/general-block-transfer.ts";
import { type NamedKey, namedKey } from "../../ingest/envelope.ts";
import { relayedApdu } from "../../ingest/relayed-apdu.ts";
import type { Limits } from "../../limits.ts";
import { withTagsInPlace } from "../../mapping/layout-swapped-tags.ts";
import { readUntaggedRows } from "../../mapping/layout-untagged-rows.ts";
import type { DecodeKeys } from "./keys.ts";
import type { Opened } from "./opened.ts";
import type { Problem, Protection } from "./result.ts";

/** Envelopes inside each other; the standard has at most three (signing, ciphering, block transfer). */
const LAYERS_MAX = 6;

/** C: sent by the client, M: by the meter; null where nobody says. */
export type Sender = "client" | "meter" | null;

/**
 * Opens APDUs: reads them, takes protection away, joins blocks. Keeps what one APDU says that a later one needs: blocks so far,
 * system titles and a dedicated key of an association. One for each input, or for each session.
 */
export class Opener {
  readonly #keys: DecodeKeys;
  readonly #limits: DataLimits;
  readonly #limitsOfBlocks: { bytesMax: number; timeoutMs: number };
  /** Each side sends its own blocks, and acknowledges those of the other. */
  readonly #blocks = new Map<Sender, BlockAssembly>();
  readonly #titles = new Map<Sender, Buffer>();
  #dedicatedKey: KeyObject | null = null;
  #datablocks: Buffer[] = [];

  constructor(keys: DecodeKeys, limits: Limits) {
    this.#keys = keys;
    this.#limits = { depthMax: limits.depthMax, elementsMax: limits.pollElementsMax };
    this.#limitsOfBlocks = { bytesMax: limits.apduBytesMax, timeoutMs: limits.apduMs };
  }

  get limits(): DataLimits {
    return this.#limits;
  }

  /** Whether blocks wait for others that never came. */
  get unfinished(): boolean {
    return [...this.#blocks.values()].some((blocks) => blocks.deadline() !== null);
  }

  open(octets: Buffer, sender: Sender, depth = 0): Opened {
    const layer = { octets, apdu: null, protection: null, inner: null, body: null, problem: null };
    if (depth >= LAYERS_MAX) {
      return { ...layer, problem: { reason: "limit", text: `more than ${LAYERS_MAX} envelopes` } };
    }
    try {
      const first = octets[0];
      if (first === TELEGRAM_START) {
        return { ...layer, text: { kind: "p1-telegram", telegram: readTelegram(octets) } };
      }
      const asciiPush = readAsciiPush(octets);
      if (asciiPush !== null) {
        return {
          ...this.#withBody(layer, asciiPushBody(asciiPush)),
          text: { kind: "ascii-push", body: asciiPushBody(asciiPush) },
        };
      }
      if (first !== undefined && isAcseTag(first)) return this.#acse(layer, sender, depth);
      return this.#xdlms({ ...layer, apdu: readApdu(octets, this.#limits) }, sender, depth);
    } catch (error) {
      return { ...layer, problem: problemOf(error) };
    }
  }

  #acse(layer: Opened, sender: Sender, depth: number): Opened {
    const apdu = readAcse(layer.octets, this.#limits);
    const opened = { ...layer, apdu };
    if (apdu.apdu === "aarq" && apdu.callingApTitle !== null) this.#titles.set("client", apdu.callingApTitle);
    if (apdu.apdu === "aare" && apdu.respondingApTitle !== null)
      this.#titles.set("meter", apdu.respondingApTitle);
    if (apdu.userInformation === null) return opened;
    const from = sender ?? (apdu.apdu === "aarq" || apdu.apdu === "rlrq" ? "client" : "meter");
    const inner = this.open(apdu.userInformation, from, depth + 1);
    return { ...opened, inner };
  }

  #xdlms(layer: Opened & { apdu: Apdu }, sender: Sender, depth: number): Opened {
    const { apdu } = layer;
    switch (apdu.apdu) {
      case "data-notification":
        return this.#relayed(
          this.#withBody(layer, apdu.body, layer.octets.length - apdu.body.length),
          sender,
          depth,
        );
      case "general-block-transfer":
        return this.#block(layer, apdu, sender, depth);
      case "general-glo-ciphering":
      case "general-ded-ciphering":
        return this.#unprotected(layer, apdu.content, apdu.systemTitle, sender, depth);
      case "general-signing":
        return { ...layer, inner: this.open(apdu.content, sender, depth + 1) };
      case "general-ciphering":
        return this.#generalCiphering(layer, apdu, sender, depth);
      case "initiate-request":
        if (apdu.dedicatedKey !== null) this.#dedicatedKey = createSecretKey(apdu.dedicatedKey);
        return checkedPduSize(layer, apdu.clientMaxReceivePduSize);
      case "get-response":
        return this.#getResponse(layer, apdu);
      default:
        if (!("content" in apdu)) return layer;
        return this.#unprotected(layer, apdu.content, EMPTY, senderOf(apdu.apdu, sender), depth);
    }
  }

  /** What a gateway passes on is opened with the keys of the meter whose it is. */
  #relayed(layer: Opened, sender: Sender, depth: number): Opened {
    const octets = layer.body === null ? null : relayedApdu(layer.body, this.#limits);
    return octets === null ? layer : { ...layer, inner: this.open(octets, sender, depth + 1) };
  }

  /** A body that isn't all Data still lets the notification be seen. */
  #withBody(layer: Opened, octets: Buffer, offset = 0): Opened {
    try {
      return { ...layer, body: readWhole(octets, this.#limits) };
    } catch (error) {
      if (readUntaggedRows(octets, this.#limits) !== null || withTagsInPlace(octets) !== null) return layer;
      const problem = problemOf(error);
      return { ...layer, problem: { ...problem, offset: (problem.offset ?? 0) + offset } };
    }
  }

  #block(layer: Opened, block: GeneralBlockTransfer, sender: Sender, depth: number): Opened {
    const blocks = this.#blocks.get(sender) ?? new BlockAssembly(this.#limitsOfBlocks);
    this.#blocks.set(sender, blocks);
    const outcome = blocks.receive(block, 0);
    if (outcome.kind === "complete") return { ...layer, inner: this.open(outcome.apdu, sender, depth + 1) };
    if (outcome.kind === "need-more") return layer;
    const text = `${outcome.count} octets of blocks given up: ${outcome.text}`;
    return { ...layer, problem: { reason: outcome.reason, text } };
  }

  #unprotected(layer: Opened, content: Buffer, title: Buffer, sender: Sender, depth: number): Opened {
    const known = this.#titles.get(sender) ?? this.#keys.systemTitle;
    const systemTitle = title.length > 0 ? title : known;
    const dedicated = layer.apdu?.apdu.startsWith("ded-") || layer.apdu?.apdu === "general-ded-ciphering";
    const key = () => {
      const encryption = dedicated ? (this.#dedicatedKey ?? this.#keys.dedicated) : this.#keys.encryption;
      if (encryption === null) throw new SecurityError("key_missing", missingKey(dedicated));
      return encryption;
    };
    return this.#decrypted(layer, { content, systemTitle, header: null, key }, sender, depth);
  }

  #generalCiphering(layer: Opened, apdu: GeneralCiphering, sender: Sender, depth: number): Opened {
    const { content, originatorSystemTitle: title } = apdu;
    const systemTitle = title.length > 0 ? title : this.#keys.systemTitle;
    const key = () => this.#keyNamed(namedKey(apdu.keyInfo));
    const header = authenticatedHeader(apdu);
    return this.#decrypted(layer, { content, systemTitle, header, key }, sender, depth);
  }

  #keyNamed(named: NamedKey): KeyObject {
    const { encryption, master } = this.#keys;
    switch (named.kind) {
      case "agreed":
        throw new SecurityError("unsupported", "ciphered with an agreed key, which is not supported");
      case "wrapped":
        if (master !== null) return unwrapKey(master, named.wrapped);
        throw new SecurityError("key_missing", "the key came along, wrapped; give --master-key");
      default:
        if (encryption !== null) return encryption;
        throw new SecurityError("key_missing", missingKey(false));
    }
  }

  #decrypted(layer: Opened, what: Ciphered, sender: Sender, depth: number): Opened {
    const { content, systemTitle, header, key } = what;
    const { control, counter } = readSecurityHeader(content);
    const protection: Protection = {
      control: control.toString(16).padStart(2, "0"),
      suite: control & 0x0f,
      counter,
      system_title: systemTitle?.toString("hex") ?? "",
      verified: false,
    };
    try {
      if (this.#keys.encryption === null && protectionOf(control) === AUTHENTICATED) {
        // In clear: what is inside can be read, although nobody can check its tag.
        const clear = content.subarray(HEADER_OCTETS, content.length - TAG_OCTETS);
        return { ...layer, protection, inner: this.open(clear, sender, depth + 1) };
      }
      const encryption = key();
      if (systemTitle === null) throw new SecurityError("key_missing", "the system title is not known");
      const keys = { encryption, authentication: this.#keys.authentication };
      const opened = unprotect(content, systemTitle, keys, header);
      const inner = this.open(opened.plaintext, sender, depth + 1);
      return { ...layer, protection: { ...protection, verified: opened.verified }, inner };
    } catch (error) {
      return { ...layer, protection, problem: problemOf(error) };
    }
  }

  /** Datablocks are joined; with the last one the Data that they make up is there. */
  #getResponse(layer: Opened, apdu: Extract<Apdu, { apdu: "get-response" }>): Opened {
    if (apdu.kind === "normal") {
      return { ...layer, body: apdu.result.kind === "data" ? apdu.result.data : null };
    }
    if (apdu.kind !== "with-datablock" || apdu.result.kind !== "raw-data") return layer;
    if (apdu.blockNumber === 1) this.#datablocks = [];
    this.#datablocks.push(Buffer.from(apdu.result.rawData));
    if (!apdu.lastBlock || this.#datablocks.length !== apdu.blockNumber) return layer;
    const whole = Buffer.concat(this.#datablocks);
    this.#datablocks = [];
    return this.#withBody(layer, whole);
  }
}

interface Ciphered {
  readonly content: Buffer;
  readonly systemTitle: Buffer | null;
  /** What general-ciphering adds to the authenticated data. */
  readonly header: Buffer | null;
  /** Throws SecurityError where there is no key. */
  readonly key: () => KeyObject;
}

/** Green Book 7.3.2: a PDU size below this can't be kept to; 0 means that there is no limit. */
const PDU_OCTETS_MIN = 12;

function checkedPduSize(layer: Opened, octets: number): Opened {
  if (octets === 0 || octets >= PDU_OCTETS_MIN) return layer;
  const text = `a client that can only receive ${octets} octets is to be refused, ${PDU_OCTETS_MIN} are the least`;
  return { ...layer, problem: { reason: "association_refused", text } };
}

const EMPTY = Buffer.alloc(0);

const missingKey = (dedicated: boolean | undefined) =>
  dedicated
    ? "the APDU is ciphered with a dedicated key, which no association before it has named"
    : "the APDU is ciphered; give its key with --guek";

function senderOf(name: string, sender: Sender): Sender {
  if (sender !== null) return sender;
  return name.endsWith("-request") ? "client" : "meter";
}

/** One Data and nothing after it. Throws DecodeError. */
export function readWhole(octets: Buffer, limits: DataLimits): Data {
  const reader = new Reader(octets);
  const data = readData(reader, limits);
  reader.expectEnd();
  return data;
}

/** What went wrong as a reason of the closed list; errors of other kinds are thrown on. */
export function problemOf(error: unknown): Problem {
  if (error instanceof DecodeError) {
    return {
      reason: error.code === "limit" ? "limit" : "malformed",
      offset: error.offset,
      text: error.message,
    };
  }
  if (error instanceof SecurityError) return { reason: error.reason, text: error.message };
  throw error;
}
