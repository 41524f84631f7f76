import { X509Certificate } from "node:crypto";
import { isSignatureKey } from "../dlms/security/signature.ts";

/** What is wrong with a certificate or its meter, in words for who gave it. */
export class CertificateError extends Error {}

/**
 * A meter's certificate for digital signature, PEM or DER.
 * @throws CertificateError where it is none, or its key can't sign DLMS/COSEM
 */
export function readMeterCertificate(octets: Buffer): X509Certificate {
  const certificate = read(octets);
  if (!isSignatureKey(certificate.publicKey)) {
    throw new CertificateError("the certificate's key is not of P-256 (suite 1) or P-384 (suite 2)");
  }
  return certificate;
}

/** The system title that its common name is (Green Book 9.2.6.4), in lower case; null where it is another name. */
export function titleOf({ subject }: X509Certificate): string | null {
  return /^CN=([0-9A-Fa-f]{16})$/m.exec(subject)?.[1]?.toLowerCase() ?? null;
}

function read(octets: Buffer): X509Certificate {
  try {
    return new X509Certificate(octets);
  } catch {
    throw new CertificateError("that is no X.509 certificate, neither PEM nor DER");
  }
}
