import { anyData, enumerated, plainEnum } from "./data-codec.ts";
import { octetString, text } from "./data-strings.ts";
import { array, structure } from "./data-structures.ts";
import { attribute, interfaceClass, method } from "./interface-class.ts";

/** What every message must be, in version 0. */
export const securityPolicyV0 = enumerated({
  0: "nothing",
  1: "authenticated",
  2: "encrypted",
  3: "authenticated-and-encrypted",
});

export const keyId = enumerated({
  0: "global-unicast-encryption-key",
  1: "global-broadcast-encryption-key",
  2: "authentication-key",
  3: "master-key",
});

/** Keys wrapped with the master key (RFC 3394). */
const globalKeyTransfer = method(2, array(structure({ keyId, keyWrapped: octetString })));

const suiteAndTitles = {
  securitySuite: attribute(3, "static", "read", plainEnum),
  clientSystemTitle: attribute(4, "dynamic", "read-write", octetString),
  serverSystemTitle: attribute(5, "static", "read", octetString),
};

export const securitySetupV0 = interfaceClass({
  classId: 64,
  version: 0,
  name: "Security setup",
  attributes: {
    securityPolicy: attribute(2, "static", "read", securityPolicyV0),
    ...suiteAndTitles,
  },
  methods: { securityActivate: method(1, securityPolicyV0), globalKeyTransfer },
});

const certificateEntity = enumerated({ 0: "server", 1: "client", 2: "certification-authority", 3: "other" });
const certificateType = enumerated({ 0: "digital-signature", 1: "key-agreement", 2: "tls", 3: "other" });
const keyPair = enumerated({ 0: "digital-signature", 1: "key-agreement", 2: "tls" });
/** Options by entity: { entity, type, system title }; by serial number: { serial number, issuer }. */
const certificateIdentification = structure({
  certificateIdentificationType: enumerated({ 0: "by-entity", 1: "by-serial-number" }),
  certificateIdentificationOptions: anyData,
});

export const securitySetup = interfaceClass({
  classId: 64,
  version: 1,
  name: "Security setup",
  attributes: {
    /** Bits: 2 authenticated, 3 encrypted, 4 signed request; 5, 6, 7 the same for the response. */
    securityPolicy: attribute(2, "static", "read", plainEnum),
    ...suiteAndTitles,
    certificates: attribute(
      6,
      "dynamic",
      "read",
      array(
        structure({
          certificateEntity,
          certificateType,
          serialNumber: octetString,
          issuer: text,
          subject: text,
          subjectAltName: text,
        }),
      ),
    ),
  },
  methods: {
    securityActivate: method(1, plainEnum),
    keyTransfer: globalKeyTransfer,
    /** An ephemeral public key, and the signature over the key's number and it. */
    keyAgreement: method(3, array(structure({ keyId, keyData: octetString }))),
    generateKeyPair: method(4, keyPair),
    generateCertificateRequest: method(5, keyPair),
    importCertificate: method(6, octetString),
    exportCertificate: method(7, certificateIdentification),
    removeCertificate: method(8, certificateIdentification),
  },
});
