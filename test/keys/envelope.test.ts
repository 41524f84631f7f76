import { randomBytes } from "node:crypto";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { EnvelopeError, open, seal } from "../../src/keys/envelope.ts";
import { credentialKek } from "../../src/keys/kek-credential.ts";
import { addKekToFile, fileKek, makeKekFile, whoReads } from "../../src/keys/kek-file.ts";
import { kekProvider, keyEncryptionKey } from "../../src/keys/kek-provider.ts";
import { KeyRing } from "../../src/keys/key-ring.ts";
import { parseSecret } from "../../src/keys/secret-text.ts";

const keks = kekProvider(keyEncryptionKey(Buffer.alloc(32, 7)));
const binding = { meterId: "m", kind: "guek", keyId: 5, systemTitle: "4142430000000001" };
const secret = () => Buffer.from("000102030405060708090a0b0c0d0e0f", "hex");

describe("an envelope", () => {
  it("opens for the row that it was sealed for, and for no other", () => {
    const envelope = seal(secret(), binding, keks.current());
    expect(open(envelope, binding, keks)).toEqual(secret());
    for (const other of [{ meterId: "n" }, { kind: "gak" }, { keyId: 6 }, { systemTitle: null }]) {
      expect(() => open(envelope, { ...binding, ...other }, keks)).toThrow(EnvelopeError);
    }
  });

  it("holds no octet of the key in the clear", () => {
    expect(seal(secret(), binding, keks.current()).includes(secret().subarray(0, 4))).toBe(false);
  });

  it("doesn't open when any octet was changed", () => {
    const envelope = seal(secret(), binding, keks.current());
    for (let index = 0; index < envelope.length; index += 1) {
      const changed = Buffer.from(envelope);
      changed[index]! ^= 1;
      expect(() => open(changed, binding, keks)).toThrow(EnvelopeError);
    }
    expect(() => open(envelope.subarray(0, 20), binding, keks)).toThrow(EnvelopeError);
  });

  it("opens after a rotation with the former key-encryption key, and says which one is missing", () => {
    const envelope = seal(secret(), binding, keks.current());
    const next = keyEncryptionKey(Buffer.alloc(32, 8));
    expect(open(envelope, binding, kekProvider(next, [keks.current()]))).toEqual(secret());
    expect(() => open(envelope, binding, kekProvider(next))).toThrow(keks.current().id);
  });
});

describe("the key ring", () => {
  it("wipes what it seals and hands out KeyObjects", () => {
    const ring = new KeyRing(keks);
    const octets = secret();
    const envelope = ring.seal(octets, binding);
    expect(octets.every((octet) => octet === 0)).toBe(true);
    const key = ring.open(envelope, binding);
    expect(key.export()).toEqual(secret());
    expect(ring.open(envelope, binding)).toBe(key);
    expect(JSON.stringify(key)).toBe("{}");
  });

  it("tells equal keys from others by a MAC, under one key-encryption key only", () => {
    const ring = new KeyRing(keks);
    const key = ring.open(ring.seal(secret(), binding), binding);
    expect(ring.mac(secret())).toEqual(ring.mac(key));
    expect(ring.mac(Buffer.alloc(16))).not.toEqual(ring.mac(key));
    expect(ring.mac(key)).toHaveLength(16);
    const other = new KeyRing(kekProvider(keyEncryptionKey(Buffer.alloc(32, 8))));
    expect(other.mac(key)).not.toEqual(ring.mac(key));
  });
});

describe("the key-encryption key's file", () => {
  const directory = mkdtempSync(join(tmpdir(), "hes-kek-"));
  afterAll(() => rmSync(directory, { recursive: true }));

  it("is made with mode 0400 by whoever says so alone, and once", () => {
    const path = join(directory, "sub/kek");
    const waiting = fileKek(path);
    expect(() => waiting.current()).toThrow(/sub\/kek can't be read or made \(it isn't there\)/);
    expect(waiting.find("0000000000000000")).toBeNull();
    expect(() => addKekToFile(path)).toThrow(/sub\/kek can't be read/);
    expect(existsSync(path)).toBe(false);
    makeKekFile(path);
    const first = waiting.current().id;
    expect(statSync(path).mode & 0o777).toBe(0o400);
    makeKekFile(path);
    expect(fileKek(path).current().id).toBe(first);
    expect(waiting.find(first)?.id).toBe(first);
    expect(readFileSync(path, "utf8")).toMatch(/^[0-9a-f]{64}\n$/);
    // Where it was written before it had its name.
    expect(readdirSync(join(directory, "sub"))).toEqual(["kek"]);
  });

  it("is read again when it has changed, and put before the others in one step", () => {
    const path = join(directory, "rotated");
    makeKekFile(path);
    const daemon = fileKek(path);
    const before = daemon.current();
    const id = addKekToFile(path);
    expect(readFileSync(path, "utf8").trim().split("\n")).toHaveLength(2);
    expect(statSync(path).mode & 0o777).toBe(0o400);
    expect(daemon.find(id)?.id).toBe(id);
    expect(daemon.current().id).toBe(id);
    expect(daemon.find(before.id)?.key.equals(before.key)).toBe(true);
    expect(daemon.find("0000000000000000")).toBeNull();
    // What a person wrote wrongly, or took away, doesn't take the keys away that are in use.
    chmodSync(path, 0o600);
    writeFileSync(path, "nonsense");
    expect(daemon.current().id).toBe(id);
    rmSync(path);
    expect(daemon.current().id).toBe(id);
  });

  it("keeps the owner, and the group that may read it, when a key is put before the others", () => {
    const path = join(directory, "shared");
    makeKekFile(path);
    expect(whoReads(path)).toBe("owner");
    chmodSync(path, 0o664);
    expect(whoReads(path)).toBe("others");
    addKekToFile(path);
    expect(statSync(path).mode & 0o777).toBe(0o440);
    expect(whoReads(path)).toBe("group");
    expect(whoReads(join(directory, "nowhere"))).toBe("missing");
    // What root puts there for a daemon that runs as somebody else must be that one's to read.
    if (process.getuid?.() !== 0) return;
    chownSync(path, 65_534, 65_534);
    addKekToFile(path);
    expect(statSync(path)).toMatchObject({ uid: 65_534, gid: 65_534 });
  });

  it("may be a systemd credential, which is never made", () => {
    writeFileSync(join(directory, "credential"), `${"ab".repeat(32)}\n${"cd".repeat(32)}\n`);
    const kek = credentialKek(directory, "credential");
    expect(kek.current().key.export().toString("hex")).toBe("ab".repeat(32));
    expect(kek.find(keyEncryptionKey(Buffer.alloc(32, 0xcd)).id)).not.toBeNull();
    expect(() => credentialKek(directory, "missing")).toThrow(
      /credential "missing" can't be read.*LoadCredential/,
    );
    expect(() => credentialKek(undefined, "kek")).toThrow(/systemd-run/);
  });

  it("is refused, with its line, where it holds something else or nothing", () => {
    const path = join(directory, "bad");
    writeFileSync(path, `${randomBytes(32).toString("hex")}\nhello\n`);
    expect(() => fileKek(path)).toThrow(/bad, line 2/);
    chmodSync(path, 0o600);
    writeFileSync(path, "");
    expect(() => fileKek(path)).toThrow(/empty/);
  });
});

describe("a secret as people write it", () => {
  it.each([
    ["000102", "000102"],
    ["0x00 01:02", "000102"],
    ["text:00112233", "3030313132323333"],
  ])("%s", (text, hex) => expect(parseSecret(text).toString("hex")).toBe(hex));
  it.each(["", "0", "zz", "text:", "text:é"])("refuses %j", (text) => {
    expect(() => parseSecret(text)).toThrow(RangeError);
  });
});
