import { createSecretKey, type KeyObject } from "node:crypto";
import { LRUCache } from "lru-cache";
import { type KeyBinding, open, seal } from "./envelope.ts";
import type { KekProvider } from "./kek-provider.ts";

/** Opens envelopes to KeyObjects, and remembers the last ones: outside of this file a key is never octets. */
export class KeyRing {
  private readonly keks: KekProvider;
  private readonly opened: LRUCache<string, KeyObject>;

  constructor(keks: KekProvider, cacheMax = 50_000) {
    this.keks = keks;
    this.opened = new LRUCache({ max: cacheMax });
  }

  /** Seals and wipes `secret`. */
  seal(secret: Buffer, binding: KeyBinding): Buffer {
    const envelope = seal(secret, binding, this.keks);
    secret.fill(0);
    return envelope;
  }

  /** @throws EnvelopeError */
  open(envelope: Buffer, binding: KeyBinding): KeyObject {
    // The tag is different for every envelope, and bound to what it is for.
    const name = `${binding.keyId}|${envelope.toString("base64", envelope.length - 16)}`;
    const known = this.opened.get(name);
    if (known) return known;
    const secret = open(envelope, binding, this.keks);
    const key = createSecretKey(secret);
    secret.fill(0);
    this.opened.set(name, key);
    return key;
  }
}
