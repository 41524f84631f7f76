/** Frames of the standard's layout worked out elsewhere: none of them was made by this project's own writer. */
export interface HdlcVector {
  readonly what: string;
  readonly octets: string;
  readonly segmented?: boolean;
  readonly destination: readonly [upper: number, lower: number | null];
  readonly source: readonly [upper: number, lower: number | null];
  readonly control: number;
  readonly information: string | null;
}

const AARQ =
  "6036A1090607608574050801018A0207808B0760857405080201AC0A80083132333435363738BE10040E01000000065F1F0400007E1F04B0";
export const PUSH =
  "0F00000001000204090C414243534D3030303030303109060004190900FF090C07EA0718FF0A0F1E00FEB60004818010000000000000000000040000000000";

export const HDLC_VECTORS: readonly HdlcVector[] = [
  {
    what: "SNRM of client 16 to server 1",
    octets: "7EA0070321930F017E",
    destination: [1, null],
    source: [16, null],
    control: 0x93,
    information: null,
  },
  {
    what: "SNRM of client 48 to logical device 1, physical device 256, in four octets",
    octets: "7EA00A00020401619311F37E",
    destination: [1, 256],
    source: [48, null],
    control: 0x93,
    information: null,
  },
  {
    what: "SNRM with parameters",
    octets: "7EA0200321937DD98180140502008006020080070400000001080400000001CE6A7E",
    destination: [1, null],
    source: [16, null],
    control: 0x93,
    information: "8180140502008006020080070400000001080400000001",
  },
  {
    what: "UA without information",
    octets: "7EA00721037301407E",
    destination: [16, null],
    source: [1, null],
    control: 0x73,
    information: null,
  },
  {
    what: "DM",
    octets: "7EA00721031F6BE97E",
    destination: [16, null],
    source: [1, null],
    control: 0x1f,
    information: null,
  },
  {
    what: "RR with N(R) 1",
    octets: "7EA00703213117877E",
    destination: [1, null],
    source: [16, null],
    control: 0x31,
    information: null,
  },
  {
    what: "I frame with an AARQ",
    octets: `7EA044034110B3E1E6E600${AARQ}D0F57E`,
    destination: [1, null],
    source: [32, null],
    control: 0x10,
    information: `E6E600${AARQ}`,
  },
  {
    what: "I frame with the time of a clock",
    octets: "7EA01E210352484AE6E700C401C100090C07EA0718FF0A0F1E00FEB600B6ED7E",
    destination: [16, null],
    source: [1, null],
    control: 0x52,
    information: "E6E700C401C100090C07EA0718FF0A0F1E00FEB600",
  },
  {
    what: "UI frame with a push",
    octets: `7EA04B81031353ADE6E700${PUSH}67CA7E`,
    destination: [64, null],
    source: [1, null],
    control: 0x13,
    information: `E6E700${PUSH}`,
  },
  {
    what: "first of two segments",
    octets: "7EA81D210330B175E6E700C401C10001010203090C07EA0718FF0A0F2E287E",
    segmented: true,
    destination: [16, null],
    source: [1, null],
    control: 0x30,
    information: "E6E700C401C10001010203090C07EA0718FF0A0F",
  },
  {
    what: "second of two segments",
    octets: "7EA01621033296CC0000FEB600120902060000C350E51D7E",
    destination: [16, null],
    source: [1, null],
    control: 0x32,
    information: "0000FEB600120902060000C350",
  },
  {
    // amshan, tests/test_hdlc.py: cutting at the first flag would break it
    what: "7E inside the information field, source address of two octets",
    octets: "7ea027010201105a87e6e7000f40000000090c07e4020f06011922ff8000000201060000157eea5e7e",
    destination: [0, null],
    source: [1, 0],
    control: 0x10,
    information: "e6e7000f40000000090c07e4020f06011922ff8000000201060000157e",
  },
  {
    // a thread of u9n/dlms-cosem: 7E is the first octet of the frame check sequence, the source address has four octets
    what: "7E inside the frame check sequence",
    octets: "7ea01b0300023c4752d551e6e700c401c10009060100202000ff7e8c7e",
    destination: [1, null],
    source: [1, 3875],
    control: 0x52,
    information: "e6e700c401c10009060100202000ff",
  },
];
