import type { Mechanism } from "../../src/dlms/association/mechanisms.ts";
import { type DeviceAssociation, type DeviceModel, type DeviceObject, objectKey } from "./device-model.ts";

const CLEAR = 96;
const CIPHERED = 112;
const MECHANISMS: readonly Mechanism[] = [0, 1, 2, 3, 4, 5, 6];
/** Everything that a meter's end of an association knows, as 24 conformance bits. */
const CONFORMANCE = 0x607edf;
const ENCRYPTED_AND_AUTHENTICATED = 0x30;
const COUNTER = "0.0.43.1.0.255";
/** The highest that any client has used. */
const ANY_CLIENT = 0;

/** Clients who try what meters of one kind don't all have: every mechanism, in clear (97 … 102) and ciphered (112 … 118). */
export interface TrialClient {
  readonly clientSap: number;
  readonly mechanism: Mechanism;
  readonly ciphered: boolean;
}

export const TRIAL_CLIENTS: readonly TrialClient[] = MECHANISMS.flatMap((mechanism) => [
  ...(mechanism === 0 ? [] : [{ clientSap: CLEAR + mechanism, mechanism, ciphered: false }]),
  { clientSap: CIPHERED + mechanism, mechanism, ciphered: true },
]);

/** Those of a meter that has clients of its own: their numbers stay theirs, and whom they would hide is client 96. */
export function trialClientsBeside(own: readonly number[]): readonly TrialClient[] {
  return TRIAL_CLIENTS.map((client) =>
    own.includes(client.clientSap) ? { ...client, clientSap: CLEAR } : client,
  );
}

/** The same meter with associations for all of them; they may do what the utility may. */
export function withTrialClients(device: DeviceModel): DeviceModel {
  const own = device.associations.map(({ clientSap }) => clientSap);
  const associations = trialClientsBeside(own).map(
    ({ clientSap, mechanism, ciphered }): DeviceAssociation => ({
      name: `trial client ${clientSap}`,
      clientSap,
      logicalName: `0.0.40.0.${clientSap}.255`,
      mechanism,
      ciphered,
      required: ciphered ? ENCRYPTED_AND_AUTHENTICATED : 0,
      conformance: CONFORMANCE,
      preEstablished: false,
      role: "utility",
    }),
  );
  const objects = new Map(device.objects);
  const add = (object: DeviceObject) => objects.set(objectKey(object.classId, object.logicalName), object);
  for (const { logicalName } of associations) add({ ...NOTHING, classId: 15, version: 1, logicalName });
  add({ ...NOTHING, classId: 1, version: 0, logicalName: COUNTER, counterOf: ANY_CLIENT });
  return { associations: [...device.associations, ...associations], objects };
}

const NOTHING = {
  attributes: new Map(),
  cells: new Map(),
  profile: null,
  isPublic: true,
  writable: [],
  methods: [],
};
