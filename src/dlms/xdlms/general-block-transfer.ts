import type { Codec } from "../encoding/codec.ts";
import { octetString } from "../encoding/codec.ts";

/**
 * general-block-transfer, tag E0 (IEC 62056-5-3):
 *
 *     block-control 1: bit 7 last block, bit 6 streaming, bits 5–0 window · block number 2 ·
 *     block number acknowledged 2 · octets with their length
 *
 * Example: E0 80 0001 0000 03 C4 01 C1 is a first and last block with three octets. Blocks count from 1.
 */
export interface GeneralBlockTransfer {
  readonly apdu: "general-block-transfer";
  readonly lastBlock: boolean;
  /** More blocks come without waiting for an acknowledgement. */
  readonly streaming: boolean;
  readonly window: number;
  readonly blockNumber: number;
  readonly blockNumberAcknowledged: number;
  /** A view of what was read. */
  readonly blockData: Buffer;
}

/** Without the tag. */
export const generalBlockTransfer: Codec<Omit<GeneralBlockTransfer, "apdu">> = {
  read: (reader, limits) => {
    reader.trace?.begin("blockControl", reader.offset);
    const control = reader.unsigned8();
    reader.trace?.end(reader.offset, control);
    reader.trace?.begin("blockNumber", reader.offset);
    const blockNumber = reader.unsigned16();
    reader.trace?.end(reader.offset, blockNumber);
    reader.trace?.begin("blockNumberAcknowledged", reader.offset);
    const blockNumberAcknowledged = reader.unsigned16();
    reader.trace?.end(reader.offset, blockNumberAcknowledged);
    reader.trace?.begin("blockData", reader.offset);
    const blockData = octetString.read(reader, limits);
    reader.trace?.end(reader.offset, blockData);
    return {
      lastBlock: (control & 0x80) !== 0,
      streaming: (control & 0x40) !== 0,
      window: control & 0x3f,
      blockNumber,
      blockNumberAcknowledged,
      blockData,
    };
  },
  write: (writer, value) => {
    writer.unsigned8((value.lastBlock ? 0x80 : 0) | (value.streaming ? 0x40 : 0) | (value.window & 0x3f));
    writer.unsigned16(value.blockNumber);
    writer.unsigned16(value.blockNumberAcknowledged);
    octetString.write(writer, value.blockData);
  },
};
