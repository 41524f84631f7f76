import { type KeyObject, X509Certificate } from "node:crypto";
import { CertificateError, readMeterCertificate, titleOf } from "../keys/certificate.ts";
import type { Database } from "./database.ts";

/** Column of a meter's certificates that are valid now, for a query over `public.meters m`. */
export const CERTIFICATES = `(SELECT coalesce(array_agg(c.certificate ORDER BY c.id), '{}') FROM meter_certificates c
  WHERE c.meter_id = m.id AND now() BETWEEN c.not_before AND c.not_after)`;

/** Public keys of certificates that `importCertificate` has taken in. */
export function signatureKeysOf(certificates: readonly Buffer[]): KeyObject[] {
  return certificates.map((der) => new X509Certificate(der).publicKey);
}

export interface CertificateSummary {
  readonly meterNumber: string;
  readonly serialNumber: string;
  readonly subject: string;
  readonly issuer: string;
  /** Milliseconds since 1970 UTC. */
  readonly notBefore: number;
  readonly notAfter: number;
}

/**
 * Keeps a meter's certificate for digital signature, PEM or DER; the same one again changes nothing.
 * @throws CertificateError where it is none, its key can't sign DLMS/COSEM, it is another meter's, or there is no such meter
 */
export async function importCertificate(
  database: Database,
  meterNumber: string,
  octets: Buffer,
): Promise<CertificateSummary> {
  const certificate = readMeterCertificate(octets);
  const [meter] = await database.query("SELECT id, system_title FROM public.meters WHERE meter_number = $1", [
    meterNumber,
  ]);
  if (meter === undefined) throw new CertificateError(`there is no meter ${meterNumber}`);
  const title = titleOf(certificate);
  if (title === null || title !== meter["system_title"]) {
    const found = title === null ? `"${certificate.subject}"` : title;
    throw new CertificateError(
      `the certificate's common name must be the system title of ${meterNumber} (${meter["system_title"] ?? "none is known"}), it is ${found}`,
    );
  }
  const summary = {
    meterNumber,
    serialNumber: certificate.serialNumber,
    subject: oneLine(certificate.subject),
    issuer: oneLine(certificate.issuer),
    notBefore: Date.parse(certificate.validFrom),
    notAfter: Date.parse(certificate.validTo),
  };
  await database.query(
    `INSERT INTO meter_certificates (meter_id, certificate, serial_number, subject, issuer, not_before, not_after)
     VALUES ($1, $2, $3, $4, $5, to_timestamp($6 / 1000.0), to_timestamp($7 / 1000.0))
     ON CONFLICT (meter_id, issuer, serial_number) DO NOTHING`,
    [
      meter["id"],
      certificate.raw,
      summary.serialNumber,
      summary.subject,
      summary.issuer,
      summary.notBefore,
      summary.notAfter,
    ],
  );
  return summary;
}

export async function listCertificates(database: Database): Promise<CertificateSummary[]> {
  const rows = await database.query(
    `SELECT m.meter_number, c.serial_number, c.subject, c.issuer, c.not_before, c.not_after
       FROM meter_certificates c JOIN public.meters m ON m.id = c.meter_id ORDER BY m.meter_number, c.id`,
  );
  return rows.map((row) => ({
    meterNumber: row["meter_number"],
    serialNumber: row["serial_number"],
    subject: row["subject"],
    issuer: row["issuer"],
    notBefore: Number(row["not_before"]),
    notAfter: Number(row["not_after"]),
  }));
}

const oneLine = (name: string) => name.replaceAll("\n", ", ");
