// Layers: climb from x to the top of a model of several layers, draw any layer again, and go down to x.

import { viewOfParts } from "../ui/parts.js";
import { climbPart } from "./layers-climb.js";
import { fieldsPart } from "./layers-fields.js";
import { filmsPart } from "./layers-films.js";

export const layersView = {
  name: "layers",
  title: "Layers",
  about: "From x up to the top layer by q, and down again by p: one layer at a time, each given its neighbours.",
  applies(page, run) {
    if (run.model.code === "bits" || run.model.layers.length > 1) return true;
    return "The code of this model is one vector of real numbers, without layers.";
  },
  mount: (root, context) => viewOfParts(root, context, "layers.part", [climbPart, fieldsPart, filmsPart]),
};
