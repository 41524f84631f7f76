import { anyData, enumerated, integer, longUnsigned } from "./data-codec.ts";
import { logicalName } from "./data-strings.ts";
import { array, structure } from "./data-structures.ts";
import { attribute, interfaceClass, method } from "./interface-class.ts";

export const script = structure({
  /** From 1; 0 stands for "do nothing". */
  scriptIdentifier: longUnsigned,
  actions: array(
    structure({
      serviceId: enumerated({ 1: "write-attribute", 2: "execute-method" }),
      classId: longUnsigned,
      logicalName,
      /** Of the attribute or method; 0 where the class has a special method for it. */
      index: integer,
      parameter: anyData,
    }),
  ),
});

export const scriptTable = interfaceClass({
  classId: 9,
  version: 0,
  name: "Script table",
  attributes: { scripts: attribute(2, "static", "read-write", array(script)) },
  /** The script's identifier. */
  methods: { execute: method(1, longUnsigned) },
});
