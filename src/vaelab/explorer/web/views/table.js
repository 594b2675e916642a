// The views of the page, in the order of their tabs.

import { bitsView } from "./bits.js";
import { compareView } from "./compare.js";
import { drawView } from "./draw.js";
import { estimatorsView } from "./estimators.js";
import { layersView } from "./layers.js";
import { mapView } from "./map.js";
import { sampleView } from "./sample.js";
import { trainingView } from "./training.js";

export const VIEWS = [
  mapView,
  bitsView,
  layersView,
  drawView,
  sampleView,
  compareView,
  estimatorsView,
  trainingView,
];
