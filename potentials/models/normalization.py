"""Batch normalisation of stacked networks, synchronised across processes, and its absence.

    y = gamma (x - mean) / sqrt(var + eps) + beta                                                    [1, algorithm 1]

While training, mean and var are those of the rows at hand, over all processes: sums of rows go through `synchronise`,
a function that adds a tensor up over the processes and lets gradients through. Averages of them run along
(`torch.nn.BatchNorm1d`'s momentum 0.1 and unbiased variance) and take over in evaluation. Statistics that have been
frozen are constants, in training too: a row's result then depends on that row alone, as forces need it.

Legend: K members, S weight sets (one per element, or 1), n rows of one set, O neurons.

[1] S. Ioffe, C. Szegedy, Proc. 32nd Int. Conf. Machine Learning 37, 448 (2015)
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

Synchronise = Callable[[Tensor], Tensor]

EPSILON = 1e-5
MOMENTUM = 0.1


def alone(values: Tensor) -> Tensor:
    """Return the sum over the processes when there is one."""
    return values


class NoNormalization(nn.Module):
    """Rows as they are."""

    def forward(self, rows: Tensor, which: int) -> Tensor:
        """Return the rows (K, n, O)."""
        return rows


class BatchNormalization(nn.Module):
    """Batch normalisation of K x S layers of O neurons each; folded away before a model is compiled.

    Parameters gamma, beta and buffers running_mean, running_variance have shape (K, S, O).
    """

    def __init__(self, n_members: int, n_sets: int, width: int, dtype: torch.dtype) -> None:
        super().__init__()
        shape = (n_members, n_sets, width)
        self.gamma = nn.Parameter(torch.ones(shape, dtype=dtype))
        self.beta = nn.Parameter(torch.zeros(shape, dtype=dtype))
        self.register_buffer("running_mean", torch.zeros(shape, dtype=dtype))
        self.register_buffer("running_variance", torch.ones(shape, dtype=dtype))
        self.register_buffer("frozen", torch.tensor(False))
        self.running_mean: Tensor
        self.running_variance: Tensor
        self.frozen: Tensor
        self.synchronise: Synchronise = alone

    def forward(self, rows: Tensor, which: int) -> Tensor:
        """Return the normalised rows (K, n, O) of weight set `which`."""
        if self.training and not bool(self.frozen):
            mean, variance, count = self._statistics(rows)
            self._follow(mean.detach(), variance.detach(), count.detach(), which)
        else:
            mean, variance = self.running_mean[:, which], self.running_variance[:, which]
        factor = self.gamma[:, which] / torch.sqrt(variance + EPSILON)
        return (rows - mean.unsqueeze(1)) * factor.unsqueeze(1) + self.beta[:, which].unsqueeze(1)

    def freeze(self, rows: Tensor, which: int) -> None:
        """Make the statistics of these rows (of all processes) the constants of weight set `which`."""
        mean, variance, count = self._statistics(rows.detach())
        if count > 0:
            self.running_mean[:, which] = mean
            self.running_variance[:, which] = variance
        self.frozen.fill_(True)

    def affine(self) -> tuple[Tensor, Tensor]:
        """Return factor and shift (K, S, O): what evaluation does to a row is `factor row + shift`."""
        factor = self.gamma / torch.sqrt(self.running_variance + EPSILON)
        return factor, self.beta - self.running_mean * factor

    def _statistics(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return mean and biased variance (K, O) over the rows of all processes, and their number.

        Every process takes part, rows or none, for the sums wait for all. Two passes: a variance from the sum of
        squares would lose the digits of the mean.
        """
        count = self.synchronise(torch.tensor(float(rows.shape[1]), dtype=rows.dtype, device=rows.device))
        mean = self.synchronise(rows.sum(1)) / count.clamp(min=1.0)
        variance = self.synchronise(((rows - mean.unsqueeze(1)) ** 2).sum(1)) / count.clamp(min=1.0)
        return mean, variance, count

    def _follow(self, mean: Tensor, variance: Tensor, count: Tensor, which: int) -> None:
        """Move the running averages towards a batch."""
        if count > 0:
            unbiased = variance * count / (count - 1.0).clamp(min=1.0)
            self.running_mean[:, which] += MOMENTUM * (mean - self.running_mean[:, which])
            self.running_variance[:, which] += MOMENTUM * (unbiased - self.running_variance[:, which])
