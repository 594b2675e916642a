// The views of the page, in the order of their tabs.

import { sampleView } from "./sample.js";

export const VIEWS = [sampleView];
