"""The network calls before the forks part: one union mask, run for one fork's rows, shown to all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import comfy.samplers

from maskgrid.hosts.comfyui.single_run_draws import repeat_rows

if TYPE_CHECKING:
    import torch

__all__ = ["TogetherCalls"]

_CALC, _MASK = "sampler_calc_cond_batch_function", "denoise_mask_function"


class TogetherCalls:
    """What the forks have in common before they part; kept from the first micro-batch for the later ones.

    Args:
        union: (1, 1, [T], h, w) the noise mask of all forks.
        rows: Rows of one fork.
        count: How many calls come before the forks part; None when it is not known.
        sigma: The noise level where they part, which decides where `count` is None.
    """

    def __init__(self, union: torch.Tensor, rows: int, count: int | None, sigma: float) -> None:
        self.union, self.rows, self.count, self.sigma = union, rows, count, sigma
        self._predictions: dict[tuple[int, int], list[torch.Tensor]] = {}

    def has(self, call: int, sigma: torch.Tensor) -> bool:
        """Whether a call, numbered from 0, comes before the forks part."""
        return call < self.count if self.count is not None else float(sigma.flatten()[0]) > self.sigma

    def install(self, options: dict[str, Any], counter: Any, guider: Any, given: dict[str, Any]) -> None:
        """Put the union mask and the shared predictions into a run's model options; others' are called too.

        Args:
            options: ComfyUI's model options of this run, changed in place.
            counter: Has `calls`, the number of network calls begun.
            guider: The guider of this run, whose conds are processed.
            given: noise, latent_image, denoise_mask and seed of this run.
        """
        masked, calculated = options.get(_MASK), options.get(_CALC)
        conds = self._conds(guider, given)
        within: dict[int, int] = {}

        def mask_of_call(
            sigma: torch.Tensor, denoise_mask: torch.Tensor, extra_options: dict[str, Any]
        ) -> Any:
            # The mask is asked for before the network is called.
            if self.has(counter.calls, sigma):
                denoise_mask = self.union.to(denoise_mask).expand_as(denoise_mask)
            return masked(sigma, denoise_mask, extra_options=extra_options) if masked else denoise_mask

        def predict(args: dict[str, Any]) -> Any:
            options = {name: value for name, value in args["model_options"].items() if name != _CALC}
            args = {
                **args,
                "model_options": options if calculated is None else {**options, _CALC: calculated},
            }
            run = calculated or _calculate
            call, x = counter.calls - 1, args["input"]
            if not self.has(call, args["sigma"]):
                return run(args)
            key = call, within.setdefault(call, 0)
            within[call] += 1
            if key not in self._predictions:
                first = {"input": x[: self.rows], "sigma": args["sigma"][: self.rows]}
                shared = [conds.get(id(cond), cond) for cond in args["conds"]]
                self._predictions[key] = [out.clone() for out in run({**args, **first, "conds": shared})]
            return [repeat_rows(out, len(x) // self.rows) for out in self._predictions[key]]

        options[_MASK], options[_CALC] = mask_of_call, predict

    def _conds(self, guider: Any, given: dict[str, Any]) -> dict[int, Any]:
        """Conds for the union mask, by the id of those for the forks' masks.

        Inpainting models are shown the mask, and it is put into their conds before sampling begins.
        """
        model, conds = guider.inner_model, guider.conds
        if not any("c_concat" in cond.get("model_conds", {}) for kind in conds.values() for cond in kind):
            return {}
        mask = self.union.to(given["denoise_mask"]).expand_as(given["denoise_mask"][: self.rows])
        noise, image = given["noise"][: self.rows], given["latent_image"]
        image = None if image is None else image[: self.rows]
        more = {"latent_image": image, "denoise_mask": mask, "seed": given["seed"]}
        encode = comfy.samplers.encode_model_conds
        return {
            id(kind): encode(model.extra_conds, kind[:], noise, noise.device, name, **more)
            for name, kind in conds.items()
        }


def _calculate(args: dict[str, Any]) -> Any:
    return comfy.samplers.calc_cond_batch(
        args["model"], args["conds"], args["input"], args["sigma"], args["model_options"]
    )
