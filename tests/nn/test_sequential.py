"""Sequential: names, state, slices, summary, training."""

from __future__ import annotations

import numpy as np
import pytest

from dlscratch.autograd import Tensor, gradcheck, no_grad
from dlscratch.errors import CheckpointError, GradientError, UsageError
from dlscratch.nn import (
    BatchNorm1d,
    BatchNorm2d,
    Conv2d,
    CrossEntropyLoss,
    Dropout,
    Embedding,
    Flatten,
    Linear,
    MSELoss,
    ReLU,
    Residual,
    Sequential,
    Tanh,
    functional,
)
from dlscratch.nn.parallel import can_halve


def make(seed=0, **options):
    return Sequential(
        *(Linear(4, 6), BatchNorm1d(), ReLU(), Residual(Linear(6, 6), Tanh()), Linear(6, 2)),
        input_shape=4,
        seed=seed,
        **options,
    )


X = np.random.default_rng(0).standard_normal((5, 4)).astype(np.float32)


def test_names_are_torchs():
    assert list(make().state_dict()) == [
        *("0.weight", "0.bias", "1.weight", "1.bias"),
        *("1.running_mean", "1.running_var", "1.num_batches_tracked"),
        *("3.0.weight", "3.0.bias", "4.weight", "4.bias"),
    ]
    model = make()
    assert [*model.named_parameters(), *model.named_buffers()] == sorted(model.state_dict(), key=lambda k: "_" in k)
    assert [p.name for p in model.parameters()] == list(model.named_parameters())
    assert list(model.named_buffers()) == ["1.running_mean", "1.running_var", "1.num_batches_tracked"]


def test_state_is_a_copy_and_goes_back_in():
    model, other = make(0), make(1)
    state = model.state_dict()
    other.load_state_dict(state)
    np.testing.assert_array_equal(other(X).data, model(X).data)
    for array in state.values():
        array[...] = 7
    assert (model.state_dict()["0.weight"] != 7).all()
    assert (other.state_dict()["1.running_var"] == 1).all()


def test_load_state_dict_lists_everything_at_once_and_changes_nothing():
    model = make()
    before = model.state_dict()
    state = {name: array + 1 for name, array in before.items() if name != "0.bias"}
    state |= {"9.weight": np.ones(3), "4.bias": np.ones((2, 1)), "1.running_mean": np.array(["a"] * 6)}
    with pytest.raises(CheckpointError) as error:
        model.load_state_dict(state)
    assert str(error.value).splitlines() == [
        "the state does not fit the model:",
        "0.bias: missing",
        "9.weight: unexpected",
        "1.running_mean: expected numbers, got <U1",
        "4.bias: expected shape (2,), got (2, 1)",
    ]
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_load_state_dict_before_the_sizes_are_known():
    with pytest.raises(UsageError, match="give input_shape, or call the model once"):
        Sequential(Linear(out_features=3)).load_state_dict({})


def test_loading_under_a_recorded_graph_is_an_error_not_a_wrong_gradient():
    model = make()
    loss = model(X).sum()
    model.load_state_dict(make(1).state_dict())
    with pytest.raises(GradientError, match="changed in place"):
        loss.backward()


def test_built_by_the_first_batch_or_by_input_shape():
    early, late = make(), Sequential.from_architecture(make().architecture())
    assert late.site is None
    late(X)
    for name, array in early.state_dict().items():
        np.testing.assert_array_equal(late.state_dict()[name], array)


def test_index_slice_length_and_iteration():
    model = make()
    assert len(model) == 5
    assert [layer.kind for layer in model] == ["linear", "batch_norm1d", "relu", "residual", "linear"]
    assert model[-1] is model.layers[4]
    head, tail = model[:3], model[3:]
    assert isinstance(head, Sequential)
    assert head[0] is model[0]
    np.testing.assert_array_equal(tail(head(X)).data, model(X).data)
    assert list(head.named_parameters()) == ["0.weight", "0.bias", "1.weight", "1.bias"]
    assert list(tail.state_dict()) == ["0.0.weight", "0.0.bias", "1.weight", "1.bias"]
    assert len(model[5:]) == 0
    longer = Sequential(*head, Linear(6, 3), input_shape=4)
    assert longer.named_parameters()["0.weight"] is model.named_parameters()["0.weight"]


def test_one_layer_with_parameters_in_two_places_is_refused():
    shared, relu = Linear(4, 4), ReLU()
    Sequential(Linear(4, 4), relu, Linear(4, 4), relu, input_shape=4)
    with pytest.raises(UsageError, match=r"layers 0 and 2\.0 are one and the same Linear\(in_features=4"):
        Sequential(shared, relu, Residual(shared), input_shape=4)


def test_summary_counts_and_prints():
    model = make()
    rows = model.summary()
    assert [(row.path, row.kind, row.output_shape, row.parameters) for row in rows] == [
        ("0", "linear", (6,), 30),
        ("1", "batch_norm1d", (6,), 12),
        ("2", "relu", (6,), 0),
        ("3", "residual", (6,), 0),
        ("3.0", "linear", (6,), 42),
        ("3.1", "tanh", (6,), 0),
        ("4", "linear", (2,), 14),
    ]
    assert rows.parameters == sum(p.size for p in model.parameters()) == 98
    lines = str(rows).splitlines()
    assert lines[0] == "layer  kind          output shape  parameters"
    assert lines[1] == "0      linear        (batch, 6)            30"
    assert lines[5] == "3.0      linear      (batch, 6)            42"
    assert lines[-1] == "total                                      98"
    assert str(Sequential(Linear(3, 2)).summary()).splitlines()[1].split() == ["0", "linear", "?", "0"]


def test_repr_shows_the_layers():
    assert repr(Sequential(Linear(3, 2), Residual(ReLU()))) == (
        "Sequential(\n  (0): Linear(in_features=3, out_features=2)\n  (1): Residual(\n    (0): ReLU()\n  )\n)"
    )


def test_the_seed_decides():
    np.testing.assert_array_equal(make(3)(X).data, make(3)(X).data)
    assert (make(3)(X).data != make(4)(X).data).any()


def test_dropout_follows_the_generator_and_only_in_training():
    model = Sequential(Linear(4, 50), Dropout(0.5), input_shape=4)
    first, same, other = (model(X, training=True, rng=np.random.default_rng(s)).data for s in (0, 0, 1))
    np.testing.assert_array_equal(first, same)
    assert (first != other).any()
    np.testing.assert_array_equal(model(X).data, model[:1](X).data)


def test_whatever_the_input_is_the_numbers_are_the_parameters():
    model = make()
    expected = model(X).data
    for x in (X.tolist(), X.astype(np.float64), Tensor(X)):
        y = model(x)
        assert y.dtype == np.float32
        np.testing.assert_allclose(y.data, expected, rtol=1e-6)
    assert model(np.arange(8, dtype=np.uint8).reshape(2, 4)).dtype == np.float32
    words = Sequential(Embedding(9, 3), Flatten(), Linear(None, 2), input_shape=(5,))
    assert words(np.ones((2, 5), dtype=np.int64)).shape == (2, 2)


def test_an_input_that_changes_afterwards_does_not_change_the_gradient():
    model = Sequential(Linear(4, 2), input_shape=4)
    x = X.copy()
    y = model(x)
    x[...] = 0
    y.backward(np.ones((5, 2)))
    np.testing.assert_allclose(model.parameters()[0].grad, np.ones((2, 5)) @ X, rtol=1e-6)


def test_the_gradient_of_a_whole_model_in_float64():
    layers = Conv2d(1, 2, 2), BatchNorm2d(), Tanh(), Flatten(), Linear(None, 3)
    model = Sequential(*layers, input_shape=(1, 3, 3), dtype="float64")
    x = Tensor(np.random.default_rng(0).standard_normal((4, 1, 3, 3)), requires_grad=True)
    assert gradcheck(lambda x: model(x, training=True), x)
    for name, p in model.named_parameters().items():
        assert p.dtype == np.float64, name


def test_it_learns():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((200, 2)).astype(np.float32)
    y = (x[:, 0] * x[:, 1] > 0).astype(np.int64)
    model, loss = Sequential(Linear(2, 16), Tanh(), Linear(16, 2), input_shape=2), CrossEntropyLoss()
    for _ in range(300):
        model.zero_grad()
        loss(model(x, training=True), y).backward()
        for p in model.parameters():
            p.data = p.data - np.float32(1.0) * p.grad
    with no_grad():
        assert np.mean(model(x).data.argmax(1) == y) > 0.97


def test_the_loss_is_a_number_and_needs_one_shape():
    model = Sequential(Linear(4, 1), input_shape=4)
    assert MSELoss()(model(X), np.zeros((5, 1), np.float32)).shape == ()
    with pytest.raises(ValueError, match="reshape the target to"):
        MSELoss()(model(X), np.zeros(5))


class Normed(Linear):
    """A layer whose result is needed for its own gradient, which Linear's is not."""

    def forward(self, x, training, rng):
        return functional.layer_norm(super().forward(x, training, rng))


class Capped(ReLU):
    """A forward of the three arguments that are told of."""

    def forward(self, x, training, rng):
        return super().forward(x, training, rng).clip(0, 1)


class Centred(Sequential):
    """A container that looks at the batch as a whole."""

    def forward(self, x, training, rng):
        y = super().forward(x, training, rng)
        return y - y.mean(axis=0)


def test_a_layer_derived_from_another_inherits_none_of_the_short_cuts():
    centred = Centred(Conv2d(out_channels=2, kernel_size=3), input_shape=(2, 4, 4))
    layers = Linear(6, 8), Normed(8, 8), ReLU(), Capped(), centred
    assert [layer.releases for layer in layers] == [True, False, False, False, False]
    assert can_halve(centred.layers[0])
    assert not can_halve(centred)
    model = Sequential(*layers[:4], input_shape=6, dtype="float64")
    x = np.random.default_rng(0).standard_normal((5, 6))
    assert gradcheck(lambda weight: model(x, training=True), model.parameters()[0])


def test_who_listens_to_a_layer_keeps_what_it_gave():
    model = Sequential(Linear(4, 8), ReLU(), input_shape=4)
    heard, forward = [], model[0].forward
    vars(model[0])["forward"] = lambda *arguments: heard.append(forward(*arguments)) or heard[-1]
    model(np.random.default_rng(0).standard_normal((3, 4)), training=True)
    assert heard[0].data.min() < 0
