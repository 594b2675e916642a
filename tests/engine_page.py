"""The engine of the explorer in a real browser: its modules come from the disk, and results come back as arrays."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vaelab.explorer.parts import describe
from vaelab.explorer.tensors import Tensors, as_text
from vaelab.models import LatentVariableModel

WEB = Path(__file__).parents[1] / "src" / "vaelab" / "explorer" / "web"
_HOST = "http://engine.test/"
_RUN = """async ([source, given]) => {
  const names = ["tensors", "random", "networks", "distributions", "mixture", "model", "numbers", "imputation", "toy",
    "estimators"];
  const engine = Object.assign({}, ...(await Promise.all(names.map((name) => import(`/engine/${name}.js`)))));
  const array = (text) => new Float32Array(Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer);
  const open = (value) => Array.isArray(value) ? value.map(open)
    : value?.array !== undefined ? array(value.array)
    : value?.constructor === Object ? Object.fromEntries(Object.entries(value).map(([k, v]) => [k, open(v)])) : value;
  const { page, ...values } = given;
  if (page) {
    values.get = await engine.openTensors(page.index, page.blob);
    values.model = page.model && engine.model(page.model, values.get);
  }
  const close = (value) => ArrayBuffer.isView(value) ? [...value]
    : value?.constructor === Object ? Object.fromEntries(Object.entries(value).map(([k, v]) => [k, close(v)])) : value;
  return close(await (new Function("engine", "given", `return (async () => { ${source} })()`))(
    engine, Object.assign(open(values), values.get ? { get: values.get, model: values.model } : {})));
}"""


class EnginePage:
    """Runs JavaScript with the engine: ``engine`` has the functions of its files, ``given`` the values from here."""

    def __init__(self, browser: Any) -> None:
        self.tab = browser.new_page()
        self.tab.route(f"{_HOST}**", self._serve)
        self.tab.goto(f"{_HOST}empty.html")

    def run(
        self,
        source: str,
        model: LatentVariableModel | None = None,
        rows: Tensor | None = None,
        tensors: Tensors | None = None,
        **given: Any,
    ) -> Any:
        """Return what the body of a function returns.

        With a model ``given.model`` is the engine's; with tensors ``given.get`` opens them.
        """
        values = {name: _packed(value) for name, value in given.items()}
        if model is not None or tensors is not None:
            tensors = tensors or Tensors()
            described = None if model is None else describe(model, tensors, rows)
            values["page"] = {"index": tensors.index(), "blob": as_text(tensors.blob()), "model": described}
        return self.tab.evaluate(_RUN, [source, values])

    def close(self) -> None:
        self.tab.close()

    @staticmethod
    def _serve(route: Any) -> None:
        name = route.request.url.removeprefix(_HOST)
        if name.endswith(".js"):
            route.fulfill(body=(WEB / name).read_text(encoding="utf-8"), content_type="text/javascript")
        else:
            route.fulfill(body="<!doctype html><title>engine</title>", content_type="text/html")


def _packed(value: Any) -> Any:
    """Return arrays as base64, as numbers one by one take long to reach a page."""
    if isinstance(value, Tensor | np.ndarray):
        numbers = torch.as_tensor(value).detach().cpu().numpy().astype("<f4")
        return {"array": base64.b64encode(np.ascontiguousarray(numbers).tobytes()).decode()}
    return [_packed(part) for part in value] if isinstance(value, list) else value
