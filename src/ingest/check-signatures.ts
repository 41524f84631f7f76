import { verifySignature } from "../dlms/security/signature.ts";
import type { MeterRecord } from "../storage/meter-record.ts";
import type { Signature } from "./envelope.ts";
import { RefusedError } from "./refused-error.ts";

/**
 * A signature must be the meter's, where its certificate is known. It says who made a push and not when: what a meter's policy asks
 * of ciphering, and its counters, hold as ever. Throws RefusedError.
 */
export function checkSignatures(meter: MeterRecord, signatures: readonly Signature[] = []): void {
  for (const { systemTitle, message, signature } of signatures) {
    const title = systemTitle.toString("hex");
    if (title !== "" && meter.systemTitle !== null && title !== meter.systemTitle) {
      const text = `${meter.meterNumber}: signed by ${title}, whose meter this is not`;
      throw new RefusedError("identity_mismatch", text, meter.id);
    }
    const keys = meter.signatureKeys ?? [];
    if (keys.length === 0 || signature.length === 0) continue;
    if (!keys.some((key) => verifySignature(message, signature, key))) {
      const text = `${meter.meterNumber}: the signature is not of the meter's certificate, or the push was changed on the way`;
      throw new RefusedError("bad_tag", text, meter.id);
    }
  }
}
