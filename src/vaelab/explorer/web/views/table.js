// The views of the page, in the order of their tabs.

import { compareView } from "./compare.js";
import { drawView } from "./draw.js";
import { sampleView } from "./sample.js";
import { trainingView } from "./training.js";

export const VIEWS = [drawView, sampleView, compareView, trainingView];
