"""Adam on stacked members, clipping of their gradients, and the average of their weights over the steps.

Every parameter has the members along its first axis, (K, ...), and each of them is treated as if it were alone: its
own learning rate, its own clipping, its own mean.

    adam   g' = g + decay w        m = b1 m + (1 - b1) g'      v = b2 v + (1 - b2) g'^2                        [1]
           w -= rate (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps)
    adamw  g' = g,  and w -= rate decay w before the step                                                      [2]
    clip   g -> g min(1, clip s / |g|), s = running mean of |g| (of the clipped gradients; 0.99 a step)
    ema    a_t = d_t a_(t-1) + (1 - d_t) w_t,   d_t = min(ema, t / (t + 9)): the first steps are soon forgotten

[1] D. P. Kingma, J. Ba, arXiv:1412.6980   [2] I. Loshchilov, F. Hutter, arXiv:1711.05101
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

BETAS = (0.9, 0.999)
EPSILON = 1e-8
NORM_MEMORY = 0.99


class Adam:
    """Adam (decoupled=False) or AdamW (True) with one learning rate per member.

    Args:
        parameters: (K, ...) each; they are changed in place.
        decay: weight decay.
        decoupled: whether the decay acts on the weights directly.
    """

    def __init__(self, parameters: Sequence[Tensor], decay: float = 0.0, decoupled: bool = False) -> None:
        self._parameters = list(parameters)
        self._decay = decay
        self._decoupled = decoupled
        self.steps = 0
        self.first = [torch.zeros_like(p) for p in self._parameters]
        self.second = [torch.zeros_like(p) for p in self._parameters]

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor], rates: Tensor) -> None:
        """Change the parameters by their gradients; rates (K) are the members' learning rates."""
        self.steps += 1
        b1, b2 = BETAS
        bias = (1.0 - b1**self.steps, 1.0 - b2**self.steps)
        for w, gradient, m, v in zip(self._parameters, gradients, self.first, self.second, strict=True):
            rate = along_members(rates, w)
            g = gradient
            if self._decay > 0.0 and self._decoupled:
                w.sub_(rate * self._decay * w)
            elif self._decay > 0.0:
                g = gradient + self._decay * w
            m.lerp_(g, 1.0 - b1)
            v.mul_(b2).addcmul_(g, g, value=1.0 - b2)
            w.sub_(rate * (m / bias[0]) / ((v / bias[1]).sqrt_() + EPSILON))

    def state(self) -> dict[str, object]:
        """Return everything that a later `load` needs."""
        return {"steps": self.steps, "first": self.first, "second": self.second}

    def load(self, state: dict[str, object]) -> None:
        """Continue from a state."""
        self.steps = int(state["steps"])  # type: ignore[call-overload]
        for name, own in (("first", self.first), ("second", self.second)):
            for mine, theirs in zip(own, state[name], strict=True):  # type: ignore[call-overload]
                mine.copy_(theirs)


class Clipping:
    """Bounds the norm of each member's gradient to `limit` times the running mean of that norm.

    mean (K): the running mean; 0 before the first step, which is never clipped.
    """

    def __init__(self, limit: float | None, n_members: int, device: torch.device | str = "cpu") -> None:
        self._limit = limit
        self.mean = torch.zeros(n_members, dtype=torch.float64, device=device)

    @torch.no_grad()
    def apply(self, gradients: Sequence[Tensor]) -> list[Tensor]:
        """Return the clipped gradients (K, ...)."""
        if self._limit is None:
            return list(gradients)
        norm = member_norms(gradients)
        allowed = torch.where(self.mean > 0.0, torch.minimum(norm, self._limit * self.mean), norm)
        memory = torch.where(self.mean > 0.0, NORM_MEMORY, 0.0)
        self.mean.copy_(memory * self.mean + (1.0 - memory) * allowed)
        factor = torch.where(norm > 0.0, allowed / norm.clamp(min=torch.finfo(norm.dtype).tiny), 1.0)
        return [g * along_members(factor, g) for g in gradients]


class Average:
    """Exponential moving average of parameters over the steps.

    Args:
        values: tensors of the parameters' shapes that hold the average and are changed in place.
        memory: greatest share of the average that a step leaves; 0 follows the parameters.
    """

    def __init__(self, values: Sequence[Tensor], memory: float) -> None:
        self._memory = memory
        self._values = list(values)
        self.steps = 0

    @torch.no_grad()
    def update(self, parameters: Sequence[Tensor]) -> None:
        """Take in the parameters after one more step."""
        self.steps += 1
        memory = min(self._memory, self.steps / (self.steps + 9.0))
        for value, parameter in zip(self._values, parameters, strict=True):
            value.lerp_(parameter, 1.0 - memory)


def along_members(values: Tensor, like: Tensor) -> Tensor:
    """Return one value per member (K) in the shape (K, 1, ...) and dtype of a parameter."""
    return values.to(like.dtype).reshape([-1] + [1] * (like.dim() - 1))


def member_norms(tensors: Sequence[Tensor]) -> Tensor:
    """Return the norm (K), float64, of each member over all tensors (K, ...)."""
    squares = [t.to(torch.float64).square().flatten(1).sum(1) for t in tensors]
    return torch.stack(squares).sum(0).sqrt()
