import { expect, it } from "vitest";
import { pushFormatsPage } from "./push-formats-page.ts";

it("docs/reference/push-formats.md says what the vectors say", async () => {
  await expect(pushFormatsPage()).toMatchFileSnapshot("../../docs/reference/push-formats.md");
});
