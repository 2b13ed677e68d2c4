"""The plain model: a one-hot word, two linear layers without bias, and cross-entropy over the whole vocabulary.

Trained through the library's own autograd, with Adam; an Embedding is the first layer, since a one-hot row times a
matrix is a row of it. Each pair costs the whole vocabulary: for small corpora, where its neighbours make the same sense
as those of negative sampling.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from dlscratch import nn, optim
from dlscratch.autograd import Tensor, no_grad
from dlscratch.backend import Array
from dlscratch.crew import Crew
from dlscratch.word2vec.blocks import Step
from dlscratch.word2vec.encoding import Encoded
from dlscratch.word2vec.options import Word2VecOptions
from dlscratch.word2vec.trainer import Trainer

TOKENS_PER_STEP = 96
OPTIMIZER = "optimizer/"


class SoftmaxTrainer(Trainer):
    """The same run, records and states as Trainer's, with another model inside."""

    def __init__(self, encoded: Encoded, options: Word2VecOptions) -> None:
        super().__init__(encoded, options, options.tokens_per_step or TOKENS_PER_STEP)
        V, D = self.input.shape
        first, second = nn.Embedding(V, D), nn.Linear(D, V, bias=False)
        self.model = nn.Sequential(first, second, input_shape=(), seed=options.seed)
        self.cross_entropy = nn.CrossEntropyLoss()
        self.optimizer = optim.Adam(self.model.named_parameters(), lr=options.lr)
        self.input, self.output = (layer.weights["weight"]._mutate() for layer in (first, second))

    def step(self, step: Step, lr: float, crew: Crew) -> None:
        """One step of Adam on the pairs of all blocks."""
        centres, targets = self._pairs(step)
        if len(centres):
            self.optimizer.lr = lr
            self.optimizer.zero_grad()
            loss = self.cross_entropy(self.model(centres, training=True), targets)
            loss.backward()
            self.optimizer.step()
            self.loss = loss.item()
        self.chunk, self.number = step.chunk, step.number + 1

    def _mean_loss(self, steps: Iterable[Step]) -> float | None:
        total, count = 0.0, 0
        for centres, targets in map(self._pairs, steps):
            if len(centres):
                with no_grad():
                    logits = Tensor(self.input[centres].astype(np.float64) @ self.output.T.astype(np.float64))
                    total += self.cross_entropy(logits, targets).item() * len(centres)
                count += len(centres)
        return total / count if count else None

    def _pairs(self, step: Step) -> tuple[Array, Array]:
        """Every centre with every word in its window."""
        near = self._halves[step.codes][..., : self.block.contexts] > 0
        blocks, centres, contexts = np.nonzero(near)
        return step.centres[blocks, centres], step.rows[blocks, contexts]

    def state(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """The tables, the optimizer, and where training stands."""
        arrays, facts = super().state()
        return {**arrays, **{OPTIMIZER + name: x for name, x in self.optimizer.state_dict().items()}}, facts

    def restore(self, arrays: Mapping[str, Array], facts: Mapping[str, Any]) -> None:
        """Go on from a state."""
        super().restore(arrays, facts)
        own = {name.removeprefix(OPTIMIZER): x for name, x in arrays.items() if name.startswith(OPTIMIZER)}
        self.optimizer.load_state_dict(own)


OBJECTIVES: dict[str, type[Trainer]] = {"sgns": Trainer, "softmax": SoftmaxTrainer}
