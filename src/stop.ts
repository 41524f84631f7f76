import { setMaxListeners } from "node:events";

/** Stops whatever listens to its signal: polls, look-ups. Any number may, and Node is not to call that a leak. */
export function stopController(): AbortController {
  const controller = new AbortController();
  setMaxListeners(0, controller.signal);
  return controller;
}
