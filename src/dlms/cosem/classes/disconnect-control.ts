import { boolean, enumerated, noParameters, plainEnum } from "./data-codec.ts";
import { attribute, interfaceClass, method } from "./interface-class.ts";

export const controlState = enumerated({
  0: "disconnected",
  1: "connected",
  2: "ready-for-reconnection",
});

/** The meter's relay, or a valve. */
export const disconnectControl = interfaceClass({
  classId: 70,
  version: 0,
  name: "Disconnect control",
  attributes: {
    /** True: connected. What the relay is, physically. */
    outputState: attribute(2, "dynamic", "read", boolean),
    controlState: attribute(3, "dynamic", "read", controlState),
    /** 0–7: who may disconnect and reconnect; see DISCONNECT_MODES. */
    controlMode: attribute(4, "static", "read-write", plainEnum),
  },
  methods: { remoteDisconnect: method(1, noParameters), remoteReconnect: method(2, noParameters) },
});

/** What a remote command does in a control mode. */
export interface DisconnectMode {
  readonly remoteDisconnect: boolean;
  /** "ready": somebody must still press the meter's button. null: there is nothing to reconnect. */
  readonly remoteReconnect: "direct" | "ready" | null;
}

const mode = (remoteReconnect: "direct" | "ready"): DisconnectMode => ({
  remoteDisconnect: true,
  remoteReconnect,
});

/** By control mode; in mode 0 the output is always connected. */
export const DISCONNECT_MODES: readonly DisconnectMode[] = [
  { remoteDisconnect: false, remoteReconnect: null },
  mode("ready"),
  mode("direct"),
  mode("ready"),
  mode("direct"),
  mode("ready"),
  mode("ready"),
  mode("direct"),
];
