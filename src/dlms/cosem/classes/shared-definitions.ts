import { captureObjectFromData, captureObjectToData } from "../capture-object.ts";
import { pushObjectFromData, pushObjectToData } from "../push-object.ts";
import { scalerUnitFromData, scalerUnitToData } from "../scaler-unit.ts";
import { dataCodec, integer, longUnsigned } from "./data-codec.ts";
import { logicalName } from "./data-strings.ts";
import { structure } from "./data-structures.ts";

export const captureObjectDefinition = dataCodec(
  "capture_object_definition",
  captureObjectFromData,
  captureObjectToData,
);

export const pushObjectDefinition = dataCodec("push_object_definition", pushObjectFromData, pushObjectToData);

export const scalUnitType = dataCodec("scal_unit_type", scalerUnitFromData, scalerUnitToData);

/** value_definition: one attribute of one object, as register monitors and limiters watch it. */
export const valueDefinition = structure({
  classId: longUnsigned,
  logicalName,
  attributeIndex: integer,
});

/** A script to be executed: the script table's name and the script's identifier in it. */
export const actionItem = structure({ scriptLogicalName: logicalName, scriptSelector: longUnsigned });
