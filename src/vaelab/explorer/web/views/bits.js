// Bits: the code as switches, the way between two rows, and the use of the bits on all rows.

import { viewOfParts } from "../ui/parts.js";
import { codePart } from "./bits-code.js";
import { pathPart } from "./bits-path.js";
import { usePart } from "./bits-use.js";

export const bitsView = {
  name: "bits",
  title: "Bits",
  about: "The code of a row is a list of bits. Flip them and see what the model makes of the new code.",
  applies: (page, run) => (run.model.code === "bits" ? true : "The code of this model is not made of bits."),
  mount: (root, context) => viewOfParts(root, context, "bits.part", [codePart, pathPart, usePart]),
};
