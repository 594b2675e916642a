// The views of the page, in the order of their tabs.

import { compareView } from "./compare.js";
import { drawView } from "./draw.js";
import { mapView } from "./map.js";
import { sampleView } from "./sample.js";
import { trainingView } from "./training.js";

export const VIEWS = [mapView, drawView, sampleView, compareView, trainingView];
