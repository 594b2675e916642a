// The page: reads its content, shows the tabs of the views, and mounts the view that the state names.

import { openTensors } from "./engine/tensors.js";
import { random } from "./engine/random.js";
import { openPage } from "./ui/page.js";
import { openShell } from "./ui/shell.js";
import { openState } from "./ui/state.js";
import { openTheme } from "./ui/colours.js";
import { VIEWS } from "./views/table.js";

const content = JSON.parse(document.getElementById("content").textContent);
openTensors(content.tensors, document.getElementById("tensors").textContent).then((tensors) => {
  const page = openPage(content, tensors);
  openShell(document.getElementById("app"), { page, state: openState(), theme: openTheme(), rng: random }, VIEWS);
});
