/** `length` is in bits; the first bit is the most significant bit of the first octet. */
export interface BitString {
  readonly length: number;
  readonly octets: Buffer;
}

/** Types of Data whose value is a whole number of at most 32 bits. */
export type IntegerType =
  | "double-long"
  | "double-long-unsigned"
  | "bcd"
  | "integer"
  | "long"
  | "unsigned"
  | "long-unsigned"
  | "enum"
  | "delta-integer"
  | "delta-long"
  | "delta-double-long"
  | "delta-unsigned"
  | "delta-long-unsigned"
  | "delta-double-long-unsigned";

/** The CHOICE Data. All alternatives have the same shape, so that code over them stays monomorphic. */
export type Data =
  | { type: "null-data" | "dont-care"; value: null }
  /** A compact-array is read as the array of its expanded rows. */
  | { type: "array" | "structure"; value: Data[] }
  | { type: "boolean"; value: boolean }
  | { type: "bit-string"; value: BitString }
  | { type: IntegerType; value: number }
  /** A bigint only where the number is not a safe integer. */
  | { type: "long64" | "long64-unsigned"; value: number | bigint }
  | { type: "float32" | "float64"; value: number }
  | { type: "octet-string"; value: Buffer }
  | { type: "visible-string" | "utf8-string"; value: string }
  /** 12, 5 and 4 octets as sent; see date-time.ts. */
  | { type: "date-time" | "date" | "time"; value: Buffer };

export type DataType = Data["type"];

export interface DataLimits {
  /** Arrays and structures inside each other. */
  readonly depthMax: number;
  /** Elements of arrays and structures in one Data, after compact-arrays are expanded. */
  readonly elementsMax: number;
}

/** What is left of the limits while one Data is read. */
export interface Budget {
  left: number;
  readonly depthMax: number;
}
