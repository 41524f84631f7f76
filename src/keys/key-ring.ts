import { createHmac, createSecretKey, hkdfSync, KeyObject } from "node:crypto";
import type { LRUCache } from "lru-cache";
import { boundedCache } from "../bounded-cache.ts";
import { type KeyBinding, open, seal } from "./envelope.ts";
import type { KekProvider } from "./kek-provider.ts";

/** Octets of what keys are compared by. */
const MAC_OCTETS = 16;

/** Opens envelopes to KeyObjects, and remembers the last ones: outside of this file a key is never octets. */
export class KeyRing {
  private readonly keks: KekProvider;
  private readonly opened: LRUCache<string, KeyObject>;
  private comparison: { readonly kekId: string; readonly key: KeyObject } | null = null;

  constructor(keks: KekProvider, cacheMax = 50_000) {
    this.keks = keks;
    this.opened = boundedCache(cacheMax);
  }

  /** Id of the key-encryption key that seals, as it stands in envelopes: 16 hex digits. */
  get kekId(): string {
    return this.keks.current().id;
  }

  /** Whether what is sealed with this key-encryption key can be opened. */
  knows(kekId: string): boolean {
    return this.keks.find(kekId) !== null;
  }

  /** Seals and wipes `secret`. */
  seal(secret: Buffer, binding: KeyBinding): Buffer {
    const envelope = seal(secret, binding, this.keks.current());
    secret.fill(0);
    return envelope;
  }

  /**
   * What a key is compared by: equal for equal keys as long as the key-encryption key is the same, and nothing can be told from it without
   * that key.
   */
  mac(key: Buffer | KeyObject): Buffer {
    const octets = key instanceof KeyObject ? key.export() : key;
    const mac = createHmac("sha256", this.comparisonKey()).update(octets).digest();
    if (octets !== key) octets.fill(0);
    return mac.subarray(0, MAC_OCTETS);
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

  private comparisonKey(): KeyObject {
    const kek = this.keks.current();
    if (this.comparison?.kekId !== kek.id) {
      const octets = Buffer.from(hkdfSync("sha256", kek.key, "", "dlms-hes comparison of keys", 32));
      this.comparison = { kekId: kek.id, key: createSecretKey(octets) };
      octets.fill(0);
    }
    return this.comparison.key;
  }
}
