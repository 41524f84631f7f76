import { Command } from "commander";
import { EXIT, UserError } from "../exit.ts";
import { CertificateError } from "../keys/certificate.ts";
import { importCertificate, listCertificates } from "../storage/meter-certificates.ts";
import { readOctets } from "./input.ts";
import type { Program } from "./program.ts";
import { withSession } from "./session.ts";
import { instant, textTable } from "./text-table.ts";

export function certificatesCommand(program: Program): Command {
  const command = new Command("certificates").description(
    "Certificates with which meters sign what they push",
  );
  command
    .command("import")
    .description("Keep a meter's certificate for digital signature; from then on its signatures are checked")
    .argument("<meter>", "the meter's number")
    .argument("<file>", "X.509 as PEM or DER, its common name the meter's system title; - for standard input")
    .option("--json", "for scripts")
    .action((meter: string, file: string, options: { json?: true }) =>
      withSession(program, async ({ database }) => {
        const certificate = await importCertificate(database, meter, readOctets(file)).catch(
          (error: unknown) => {
            if (!(error instanceof CertificateError)) throw error;
            throw new UserError(EXIT.data, `${file}: ${error.message}`, { cause: error });
          },
        );
        if (options.json) return program.print(JSON.stringify(certificate));
        const until = instant(certificate.notAfter);
        program.print(
          `Certificate ${certificate.serialNumber} of ${meter} is kept; it is valid until ${until}.`,
        );
      }),
    );
  command
    .command("list")
    .description("List certificates by meter")
    .option("--json", "for scripts")
    .action((options: { json?: true }) =>
      withSession(program, async ({ database }) => {
        const certificates = await listCertificates(database);
        if (options.json) return program.print(JSON.stringify(certificates, null, 2));
        const rows = certificates.map((certificate) => ({
          meter: certificate.meterNumber,
          serial_number: certificate.serialNumber,
          subject: certificate.subject,
          issuer: certificate.issuer,
          valid_from: instant(certificate.notBefore),
          valid_until: instant(certificate.notAfter),
        }));
        program.print(textTable(rows, "There are no certificates."));
      }),
    );
  return command;
}
