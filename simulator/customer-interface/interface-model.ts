import { join } from "node:path";
import { type Catalogue, type PushListEntry, readScalers } from "../../src/catalogue/catalogue.ts";
import { catalogueFolder } from "../../src/catalogue/catalogue-folder.ts";
import { type HdlcAddress, hdlcAddress } from "../../src/dlms/hdlc/address.ts";
import { readDeviceFile } from "../device/device-file.ts";
import { type LocalZone, ZONES } from "../local-time.ts";
import {
  type InterfaceBody,
  type InterfaceCell,
  interfaceCell,
  type NumberShapes,
} from "./interface-body.ts";

export const INTERFACE_NAMES = ["AIDON", "KAIFA", "KAMSTRUP", "NETZ-NOE", "TINETZ"] as const;
export type InterfaceName = (typeof INTERFACE_NAMES)[number];

/** What stands around an APDU on the wire of a customer interface. */
export type InterfaceLine =
  | {
      readonly framing: "hdlc";
      readonly destination: HdlcAddress;
      readonly source: HdlcAddress;
      readonly control: number;
    }
  | { readonly framing: "mbus"; readonly stsap: number; readonly dtsap: number };

/** One list that a customer interface sends. */
export interface InterfaceList {
  readonly name: string;
  readonly periodMs: number;
  /** After each full period it goes out so much later; what it tells is that of the full period. */
  readonly offsetMs: number;
  readonly cells: readonly InterfaceCell[];
  /** Whether it has a time of its own. */
  readonly hasClock: boolean;
  /** The energy import of its row in Wh, as it is sent; 0 where it has none. */
  readonly check: InterfaceCell["value"];
}

/** A kind of meter that only sends, over its customer interface. */
export interface InterfaceModel {
  readonly name: InterfaceName;
  readonly meterType: string;
  readonly zone: LocalZone;
  readonly phases: 1 | 3;
  readonly averageW: { readonly from: number; readonly to: number };
  readonly nominalV: number;
  readonly line: InterfaceLine;
  readonly isCiphered: boolean;
  /** How the notification tells its time. */
  readonly notifies: "nothing" | "time" | "tagged";
  readonly invokeId: number;
  readonly body: InterfaceBody;
  readonly registerMs: number;
  /** The shortest period first; of several that are due at once the longest goes out. */
  readonly lists: readonly InterfaceList[];
}

interface Shape {
  readonly meter_type: string;
  readonly zone: keyof typeof ZONES;
  readonly phases: 1 | 3;
  readonly average_w: readonly [from: number, to: number];
  readonly nominal_v: number;
  readonly line:
    | {
        readonly framing: "hdlc";
        readonly destination: AddressEntry;
        readonly source: AddressEntry;
        readonly control: number;
      }
    | { readonly framing: "mbus"; readonly stsap: number; readonly dtsap: number };
  readonly ciphered: boolean;
  readonly notifies: InterfaceModel["notifies"];
  readonly invoke_id: number;
  readonly body: InterfaceBody;
  readonly texts: "visible-string" | "octet-string";
  readonly version: string;
  readonly type: string;
  readonly numbers: NumberShapes;
  readonly register_seconds: number;
  readonly lists: readonly { readonly list: string; readonly seconds: number; readonly offset?: number }[];
}

/** Upper, lower and octets. */
type AddressEntry = readonly [upper: number, lower: number | null, octets: 1 | 2 | 4];

export function loadInterfaces(catalogue: Catalogue): Readonly<Record<InterfaceName, InterfaceModel>> {
  const { models } = readDeviceFile<{ models: Record<InterfaceName, Shape> }>("customer-interfaces");
  const scalers = new Map(
    readScalers(join(catalogueFolder(), "scalers", "customer-interfaces.csv")).map((one) => [
      `${one.meterType}/${one.code}`,
      one.scaler,
    ]),
  );
  const all = INTERFACE_NAMES.map((name) => [name, modelOf(name, models[name], catalogue, scalers)] as const);
  return Object.fromEntries(all) as Record<InterfaceName, InterfaceModel>;
}

function modelOf(
  name: InterfaceName,
  shape: Shape,
  catalogue: Catalogue,
  scalers: ReadonlyMap<string, number>,
): InterfaceModel {
  const [from, to] = shape.average_w;
  const cellOf = ({ code }: PushListEntry) => {
    const cell = interfaceCell(code, catalogue.byCode(code, 2)?.unit ?? null, shape);
    // What a head-end knows of an interface whose frames carry no scalers must be what is sent.
    const known = scalers.get(`${shape.meter_type}/${code}`);
    if (!shape.body.scalers && cell.scaler !== null && known !== cell.scaler) {
      throw new Error(`${name} sends ${code} with the scaler ${cell.scaler}, obis/scalers has ${known}`);
    }
    return cell;
  };
  return {
    name,
    meterType: shape.meter_type,
    zone: ZONES[shape.zone],
    phases: shape.phases,
    averageW: { from, to },
    nominalV: shape.nominal_v,
    line: lineOf(shape.line),
    isCiphered: shape.ciphered,
    notifies: shape.notifies,
    invokeId: shape.invoke_id,
    body: shape.body,
    registerMs: shape.register_seconds * 1_000,
    lists: shape.lists.map(({ list, seconds, offset = 0 }) => {
      const found = catalogue.pushLists.find((candidate) => candidate.name === list);
      if (found === undefined) throw new Error(`the catalogue has no push list "${list}"`);
      const cells = found.entries.map(cellOf);
      return {
        name: list,
        periodMs: seconds * 1_000,
        offsetMs: offset * 1_000,
        cells,
        hasClock: shape.notifies !== "nothing" || cells.some(({ isClock }) => isClock),
        check: cells.find(({ code }) => /^1\.\d\.1\.8\.0\.255$/.test(code))?.value ?? (() => 0),
      };
    }),
  };
}

function lineOf(line: Shape["line"]): InterfaceLine {
  if (line.framing === "mbus") return line;
  return { ...line, destination: hdlcAddress(...line.destination), source: hdlcAddress(...line.source) };
}
