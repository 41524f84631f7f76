import { configureGlobal } from "fast-check";

/**
 * Property tests try the same inputs each time, so that a change is judged by what it changes: HES_TEST_PROPERTY_SEED is another number,
 * or "random" to look for what nobody has seen yet. What that finds becomes an example of its own.
 */
const wanted = process.env["HES_TEST_PROPERTY_SEED"] ?? "1";

if (wanted !== "random") {
  const seed = Number(wanted);
  if (!Number.isInteger(seed)) {
    throw new Error(`HES_TEST_PROPERTY_SEED is "${wanted}": an integer is wanted, or "random"`);
  }
  configureGlobal({ seed });
}
