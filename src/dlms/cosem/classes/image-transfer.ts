import { bitString, boolean, doubleLongUnsigned, enumerated, noParameters } from "./data-codec.ts";
import { octetString } from "./data-strings.ts";
import { array, structure } from "./data-structures.ts";
import { attribute, interfaceClass, method } from "./interface-class.ts";

export const imageTransferStatus = enumerated({
  0: "not-initiated",
  1: "initiated",
  2: "verification-initiated",
  3: "verification-successful",
  4: "verification-failed",
  5: "activation-initiated",
  6: "activation-successful",
  7: "activation-failed",
});

/** How new firmware gets into the meter. */
export const imageTransfer = interfaceClass({
  classId: 18,
  version: 0,
  name: "Image transfer",
  attributes: {
    /** Octets of every block but the last. */
    imageBlockSize: attribute(2, "static", "read", doubleLongUnsigned),
    /** One bit a block, set where it has come. */
    imageTransferredBlocksStatus: attribute(3, "dynamic", "read", bitString),
    /** From 0; the number of blocks where all have come. */
    imageFirstNotTransferredBlockNumber: attribute(4, "dynamic", "read", doubleLongUnsigned),
    imageTransferEnabled: attribute(5, "static", "read-write", boolean),
    imageTransferStatus: attribute(6, "dynamic", "read", imageTransferStatus),
    imageToActivateInfo: attribute(
      7,
      "dynamic",
      "read",
      array(
        structure({
          imageToActivateSize: doubleLongUnsigned,
          imageToActivateIdentification: octetString,
          imageToActivateSignature: octetString,
        }),
      ),
    ),
  },
  methods: {
    imageTransferInitiate: method(
      1,
      structure({ imageIdentifier: octetString, imageSize: doubleLongUnsigned }),
    ),
    imageBlockTransfer: method(
      2,
      structure({ imageBlockNumber: doubleLongUnsigned, imageBlockValue: octetString }),
    ),
    imageVerify: method(3, noParameters),
    imageActivate: method(4, noParameters),
  },
});
