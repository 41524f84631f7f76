import { type KeyObject, verify } from "node:crypto";

/** What a signature of each curve is: suite 1 signs with P-256, suite 2 with P-384. */
const CURVES: Readonly<Record<string, { readonly hash: string; readonly octets: number }>> = {
  prime256v1: { hash: "sha256", octets: 64 },
  secp384r1: { hash: "sha384", octets: 96 },
};

/** Whether a public key can check signatures of DLMS/COSEM at all. */
export function isSignatureKey(key: KeyObject): boolean {
  return key.asymmetricKeyType === "ec" && (key.asymmetricKeyDetails?.namedCurve ?? "") in CURVES;
}

/** ECDSA (Green Book 9.2.3.4.5): the signature is r and s, each as long as the curve's field. False for a signature of another length. */
export function verifySignature(message: Buffer, signature: Buffer, key: KeyObject): boolean {
  const curve = CURVES[key.asymmetricKeyDetails?.namedCurve ?? ""];
  if (curve === undefined || signature.length !== curve.octets) return false;
  return verify(curve.hash, message, { key, dsaEncoding: "ieee-p1363" }, signature);
}
