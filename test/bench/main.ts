import { benchDecoding } from "./decode.ts";

benchDecoding();
