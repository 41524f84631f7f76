import { createSocket } from "node:dgram";
import { once } from "node:events";
import { expect, it } from "vitest";
import { type Datagram, UdpListener } from "../../src/transports/udp-listener.ts";
import { Arrivals } from "../support/arrivals.ts";

const listen = (host: string, onDatagram: (datagram: Datagram) => void) =>
  UdpListener.listen({
    address: { host, port: 0 },
    onDatagram,
    onError: (error) => {
      throw error;
    },
  });

it.each(["127.0.0.1", "::"])("receives datagrams on %s and answers them", async (host) => {
  const arrived = new Arrivals<Datagram>();
  const listener = await listen(host, arrived.add);
  const meter = createSocket("udp4");
  try {
    meter.send("push", listener.address.port, "127.0.0.1");
    const datagram = await arrived.next();
    expect(datagram.octets.toString()).toBe("push");
    expect(datagram.remoteAddress).toBe("127.0.0.1");
    const answered = once(meter, "message");
    datagram.reply(Buffer.from("confirm"));
    const [answer, from] = await answered;
    expect(String(answer)).toBe("confirm");
    expect(from.port).toBe(listener.address.port);
  } finally {
    meter.close();
    await listener.close();
  }
});

it("says which address is taken", async () => {
  const listener = await listen("127.0.0.1", () => {});
  const { port } = listener.address;
  const second = UdpListener.listen({
    address: { host: "127.0.0.1", port },
    onDatagram: () => {},
    onError: () => {},
  });
  await expect(second).rejects.toThrow(new RegExp(`udp 127\\.0\\.0\\.1:${port}: .*EADDRINUSE`));
  await listener.close();
});
