import { bitString, enumerated, integer, longUnsigned, unsigned } from "./data-codec.ts";
import { logicalName, octetString, visibleString } from "./data-strings.ts";
import { array, structure } from "./data-structures.ts";
import { attribute, interfaceClass, method } from "./interface-class.ts";
import { objectIdentifier } from "./object-identifier.ts";
import { objectListElement, objectListElementV0 } from "./object-list.ts";

export const associationStatus = enumerated({
  0: "non-associated",
  1: "association-pending",
  2: "associated",
});

export const xdlmsContextType = structure({
  /** 24 bits; names in xdlms/initiate.ts. */
  conformance: bitString,
  /** Octets. */
  maxReceivePduSize: longUnsigned,
  maxSendPduSize: longUnsigned,
  dlmsVersionNumber: unsigned,
  qualityOfService: integer,
  /** The dedicated key; empty where there is none. */
  cypheringInfo: octetString,
});

const user = structure({ userId: unsigned, userName: visibleString });

const afterTheObjectList = {
  associatedPartnersId: attribute(
    3,
    "static",
    "read",
    structure({ clientSap: integer, serverSap: longUnsigned }),
  ),
  applicationContextName: attribute(4, "static", "read", objectIdentifier),
  xdlmsContextInfo: attribute(5, "dynamic", "read", xdlmsContextType),
  authenticationMechanismName: attribute(6, "static", "read", objectIdentifier),
  /** The password of low level security, or the secret of a high level one. */
  secret: attribute(7, "static", "write", octetString),
  associationStatus: attribute(8, "dynamic", "read", associationStatus),
};

const keysAndSecrets = {
  /** f(StoC); the answer is f(CtoS). */
  replyToHlsAuthentication: method(1, octetString),
  changeHlsSecret: method(2, octetString),
};

export const associationLnV0 = interfaceClass({
  classId: 15,
  version: 0,
  name: "Association LN",
  attributes: {
    objectList: attribute(2, "static", "read", array(objectListElementV0)),
    ...afterTheObjectList,
  },
  methods: {
    ...keysAndSecrets,
    addObject: method(3, objectListElementV0),
    removeObject: method(4, objectListElementV0),
  },
});

const sinceVersion1 = {
  attributes: {
    objectList: attribute(2, "static", "read", array(objectListElement)),
    ...afterTheObjectList,
    securitySetupReference: attribute(9, "static", "read", logicalName),
  },
  methods: {
    ...keysAndSecrets,
    addObject: method(3, objectListElement),
    removeObject: method(4, objectListElement),
  },
};

export const associationLnV1 = interfaceClass({
  classId: 15,
  version: 1,
  name: "Association LN",
  ...sinceVersion1,
});

const sinceVersion2 = {
  attributes: {
    ...sinceVersion1.attributes,
    userList: attribute(10, "static", "read-write", array(user)),
    currentUser: attribute(11, "dynamic", "read", user),
  },
  methods: { ...sinceVersion1.methods, addUser: method(5, user), removeUser: method(6, user) },
};

export const associationLnV2 = interfaceClass({
  classId: 15,
  version: 2,
  name: "Association LN",
  ...sinceVersion2,
});

/** Access modes are bits here: see ACCESS_BITS. */
export const associationLnV3 = interfaceClass({
  classId: 15,
  version: 3,
  name: "Association LN",
  ...sinceVersion2,
});
