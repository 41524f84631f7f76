import { z } from "zod";
import { count, setting, text } from "./setting.ts";

const NATS_URL = z
  .string()
  .regex(
    /^(nats|tls):\/\/[^/@]+$/,
    "nats://host:port or tls://host:port is needed, without user or password",
  );

/** How the log that several daemons share is reached, and how large it may grow. */
export const JETSTREAM_SETTINGS = {
  "jetstream.servers": setting(
    z.array(NATS_URL).min(1),
    ["nats://127.0.0.1:4222"],
    "NATS servers with JetStream, of one cluster: nats://host:4222, or tls://host:4222 where nothing but TLS will do.",
  ),
  "jetstream.prefix": setting(
    z.string().regex(/^[A-Za-z0-9-]{1,32}$/, "1 to 32 letters, digits and hyphens are needed"),
    "HES",
    "Streams are PREFIX_0, PREFIX_1 …, and who reads them stands in the bucket PREFIX_READERS. All daemons on one database have the same.",
  ),
  "jetstream.partitions": setting(
    z.int().min(1).max(64),
    8,
    "Streams that meters are spread over; at most so many daemons drain. It can't be changed while something is in them.",
    { unit: "streams" },
  ),
  "jetstream.replicas": setting(
    z.int().min(1).max(5),
    3,
    "NATS servers that hold each record; it is safe when a majority has it. With 1 a lost disk loses what was not stored yet.",
    { unit: "servers" },
  ),
  "jetstream.bytes_max": count(
    4_294_967_296,
    "octets",
    "Bound of all streams together: a warning at 80 %, and at 95 % meters are no longer read from. Each server that holds them needs as much.",
    67_108_864,
  ),
  "jetstream.credentials_file": text("", "File with the user's JWT and seed, as nsc writes it (.creds)."),
  "jetstream.user": text("", "User name, where the servers want one."),
  "jetstream.password": text("", "Password of jetstream.user.", { secret: true }),
  "jetstream.tls_ca_file": text(
    "",
    "PEM file of the authorities that servers' certificates are checked with.",
    {
      fallbackText: "the system's",
    },
  ),
  "jetstream.tls_cert_file": text("", "PEM file of our own certificate, where the servers want one."),
  "jetstream.tls_key_file": text("", "PEM file of its key."),
};
