"""Layers: what they tell of themselves, how they begin, what does not fit."""

from __future__ import annotations

import copy
import json
import math
import pickle
import typing

import numpy as np
import pytest
from annotated_doc import Doc

from dlscratch import nn
from dlscratch.errors import ShapeError, UsageError
from dlscratch.nn import INITIALIZERS, LAYERS, LOSSES, Layer, Sequential
from dlscratch.nn.initializers import fans, initializer
from dlscratch.nn.options import options_of

# For each kind: options, the shape that goes in, the shape that comes out.
EXAMPLES = {
    "linear": ({"out_features": 3}, (5,), (3,)),
    "conv2d": ({"out_channels": 4, "kernel_size": [3, 2], "padding": 1}, (2, 5, 6), (4, 5, 7)),
    "max_pool2d": ({"kernel_size": 2}, (2, 5, 6), (2, 2, 3)),
    "avg_pool2d": ({"kernel_size": 3, "stride": 1, "padding": 1}, (2, 5, 6), (2, 5, 6)),
    "global_avg_pool2d": ({}, (2, 5, 6), (2,)),
    "flatten": ({"start_dim": 2}, (2, 5, 6), (2, 30)),
    "reshape": ({"shape": [3, -1]}, (2, 6), (3, 4)),
    "embedding": ({"num_embeddings": 7, "embedding_dim": 3}, (4,), (4, 3)),
    "dropout": ({"p": 0.2}, (4,), (4,)),
    "softmax": ({"dim": 1}, (4, 2), (4, 2)),
    "batch_norm1d": ({"momentum": None}, (4, 2), (4, 2)),
    "batch_norm2d": ({"affine": False}, (4, 2, 3), (4, 2, 3)),
    "layer_norm": ({"normalized_shape": [2, 3]}, (4, 2, 3), (4, 2, 3)),
    "residual": ({"layers": ["relu", {"linear": {"out_features": 4}}]}, (4,), (4,)),
    "sequential": ({"layers": [{"linear": {"out_features": 3}}]}, (4,), (3,)),
}
DEFAULT = ({}, (4, 3), (4, 3))


def of_kind(kind):
    options, before, after = EXAMPLES.get(kind, DEFAULT)
    return Sequential.from_architecture([{kind: options}], before, seed=3), before, after


def batch(model, shape, count=3):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 5, (count, *shape)) if model.takes_integers else rng.standard_normal((count, *shape))
    return x if model.takes_integers else x.astype(np.float32)


@pytest.mark.parametrize("kind", LAYERS)
def test_every_layer(kind):
    model, before, after = of_kind(kind)
    x = batch(model, before)
    for training in (False, True):
        y = model(x, training=training, rng=np.random.default_rng(0))
        assert y.shape == (3, *after)
        assert y.dtype == np.float32
        y.backward(np.ones_like(y.data)) if y.requires_grad else None
    assert model.output_shape == after
    for name, parameter in model.named_parameters().items():
        assert parameter.name == name
        assert parameter.dtype == np.float32
        assert parameter.grad.shape == parameter.shape, name
    assert model[0].kind == kind
    assert LAYERS[kind].__doc__.strip().endswith(".")


@pytest.mark.parametrize("kind", LAYERS)
def test_an_architecture_builds_the_same_model_again(kind):
    model, before, _ = of_kind(kind)
    model(batch(model, before), training=True, rng=np.random.default_rng(0))
    architecture = json.loads(json.dumps(model.architecture()))
    again = Sequential.from_architecture(architecture, before, seed=3)
    assert again.architecture() == architecture
    again.load_state_dict(model.state_dict())
    x = batch(model, before)
    np.testing.assert_array_equal(again(x).data, model(x).data)
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(twin(x).data, model(x).data)


def test_sizes_that_were_inferred_are_in_the_architecture():
    assert of_kind("linear")[0].architecture() == [{"linear": {"in_features": 5, "out_features": 3}}]
    assert of_kind("conv2d")[0].architecture()[0]["conv2d"]["in_channels"] == 2
    assert of_kind("batch_norm1d")[0].architecture()[0]["batch_norm1d"]["num_features"] == 4


@pytest.mark.parametrize("registry", [LAYERS, LOSSES, INITIALIZERS])
def test_every_option_is_documented_and_every_name_exported(registry):
    for kind, target in registry.items():
        for name, (hint, _) in options_of(target).items():
            assert any(isinstance(note, Doc) for note in typing.get_args(hint)), f"{kind}.{name}"
        parameters = typing.get_type_hints(target.__init__, include_extras=True)
        assert set(options_of(target)) <= set(parameters)
        if registry is not INITIALIZERS:
            assert target.__name__ in nn.__all__


def test_exports_exist_and_the_list_is_whole():
    assert len(set(nn.__all__)) == len(nn.__all__)
    assert all(hasattr(nn, name) for name in nn.__all__)
    assert {layer.__name__ for layer in LAYERS.values()} <= set(nn.__all__)
    assert all(LAYERS[kind].kind == kind for kind in LAYERS)


# How parameters begin.


def test_linear_and_conv_begin_as_in_torch():
    """Uniform in ±1/√fan_in: nothing outside, the whole of it filled, the standard deviation that belongs to it."""
    for layer, shape, fan in [(nn.Linear(400, 300), (400,), 400), (nn.Conv2d(30, 600, 5, groups=2), (30, 5, 5), 375)]:
        layer.build(shape)
        for parameter in layer.parameters():
            values = np.abs(parameter.data) * math.sqrt(fan)
            assert 0.98 < values.max() <= 1.0001
            assert abs(np.sqrt(np.mean(values**2)) - 1 / math.sqrt(3)) < 0.05


def test_other_defaults_are_torchs():
    embedding = nn.Embedding(200, 100)
    embedding.build((4,))
    values = embedding.weights["weight"].data
    assert abs(values.mean()) < 0.02
    assert abs(values.std() - 1) < 0.02
    norm = nn.BatchNorm1d()
    norm.build((3,))
    assert norm.state_dict()["weight"].tolist() == [1, 1, 1]
    assert norm.state_dict()["running_var"].tolist() == [1, 1, 1]
    assert norm.state_dict()["num_batches_tracked"].dtype == np.int64


SPREAD = {  # the standard deviation that the definition gives for a weight of shape (300, 200), where it is not free
    "kaiming_uniform": math.sqrt(2 / 200),
    "kaiming_normal": math.sqrt(2 / 200),
    "xavier_uniform": math.sqrt(2 / 500),
    "xavier_normal": math.sqrt(2 / 500),
    "uniform": math.sqrt(1 / 12),
    "normal": 1.0,
    "zeros": 0.0,
    "ones": 0.0,
    "constant": 0.0,
}


@pytest.mark.parametrize("name", INITIALIZERS)
def test_initializer(name):
    layer = nn.Linear(200, 300, weight_init=name)
    layer.build((200,))
    values = layer.weights["weight"].data
    assert values.std() == pytest.approx(SPREAD[name], rel=0.02)
    if name.endswith("_uniform"):
        assert np.abs(values).max() == pytest.approx(math.sqrt(3) * SPREAD[name], rel=0.01)


def test_initializers_take_options():
    layer = nn.Linear(3, 2, weight_init={"constant": {"value": 0.25}}, bias_init="ones")
    layer.build((3,))
    assert np.unique(layer.weights["weight"].data).tolist() == [0.25]
    assert layer.config()["weight_init"] == {"constant": {"value": 0.25}}
    assert fans((6, 2, 3, 3)) == (18, 54)
    out = initializer({"kaiming_normal": {"mode": "fan_out", "a": 1.0}}, None)
    assert out.std((300, 200)) == pytest.approx(math.sqrt(1 / 300))


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("zero", 'unknown initializer "zero"; did you mean "zeros"?'),
        ({"constant": {"values": 1}}, "unexpected keyword argument 'values'"),
        ({"normal": {"std": -1.0}}, "std is -1.0; expected float ≥ 0"),
        ({}, 'unknown initializer ""'),
    ],
)
def test_a_wrong_initializer_is_named(option, words):
    with pytest.raises(UsageError) as error:
        nn.Linear(3, 2, weight_init=option).build((3,))
    assert words in str(error.value)


def test_an_initializer_of_matrices_refuses_a_bias():
    with pytest.raises(UsageError, match="need a weight with two axes or more"):
        nn.Linear(3, 2, bias_init="xavier_normal").build((3,))


def test_first_values_depend_on_seed_and_path_only():
    small = Sequential(nn.Linear(4, 4), nn.Linear(4, 4), input_shape=4, seed=1).state_dict()
    large = Sequential(nn.Linear(4, 4, bias_init="zeros"), nn.Linear(4, 4), nn.Linear(4, 4), input_shape=4, seed=1)
    np.testing.assert_array_equal(large.state_dict()["1.weight"], small["1.weight"])
    assert (small["0.weight"] != small["1.weight"]).all()
    other = Sequential(nn.Linear(4, 4), input_shape=4, seed=2).state_dict()
    assert (other["0.weight"] != small["0.weight"]).all()


# What does not fit.


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: nn.Linear(10), "Linear: out_features is missing; write Linear(out_features=…)"),
        (lambda: nn.Linear(10, 0), "Linear: out_features is 0; expected int > 0"),
        (lambda: nn.Linear(10, 2.5), "out_features is 2.5; expected int > 0"),
        (lambda: nn.Linear(10, 2, bias=1), "bias is 1; expected bool"),
        (lambda: nn.Dropout(1.0), "p is 1.0; expected float ≥ 0 < 1"),
        (lambda: nn.Conv2d(1, 2, (3, 3, 3)), "kernel_size is (3, 3, 3); expected int | tuple[int, int] > 0"),
        (lambda: nn.Conv2d(1, 2, 3, padding="full"), "padding is 'full'"),
        (lambda: nn.Conv2d(1, 2, 3, padding=(1, -1)), "padding is (1, -1)"),
        (lambda: nn.GELU("erf"), "approximate is 'erf'; expected Literal['none', 'tanh']"),
        (lambda: nn.HuberLoss(0), "HuberLoss: delta is 0; expected float > 0"),
        (lambda: nn.CrossEntropyLoss([1.0, -1.0]), "weight is [1.0, -1.0]"),
        (lambda: Sequential(nn.Linear(1, 1), "relu"), "layers[1] is 'relu'; expected a layer"),
        (
            lambda: Sequential.from_architecture([{"lineer": {}}]),
            'layers[0]: unknown layer "lineer"; did you mean "linear"?',
        ),
        (
            lambda: Sequential.from_architecture(["relu", {"residual": [{"linear": {"width": 3}}]}]),
            "layers[1] residual, layers[0] linear: Linear.__init__() got an unexpected keyword argument 'width'",
        ),
        (
            lambda: Sequential.from_architecture([{"relu": {}, "tanh": {}}]),
            "expected a kind of layer or {kind: options}",
        ),
        (lambda: nn.Dropout(0.5)(np.ones((2, 2)), training=True), "dropout: training needs a generator"),
    ],
)
def test_a_wrong_option_is_named(make, words):
    with pytest.raises(UsageError) as error:
        make()
    assert words in str(error.value)


def model_of(*architecture):
    return lambda shape: Sequential.from_architecture(architecture, shape)


@pytest.mark.parametrize(
    ("build", "shape", "words"),
    [
        (
            model_of({"linear": {"out_features": 128}}, "relu", {"linear": {"in_features": 64, "out_features": 2}}),
            (4,),
            "layers[2] linear: in_features is 64, but layers[1] relu gives 128; write in_features: 128 or leave it out",
        ),
        (
            model_of({"linear": {"in_features": 64, "out_features": 2}}),
            (63,),
            "layers[0] linear: in_features is 64, but the input gives 63; write in_features: 63 or leave it out",
        ),
        (
            model_of("relu", {"residual": [{"linear": {"in_features": 5, "out_features": 4}}]}),
            (4,),
            "layers[1] residual, layers[0] linear: in_features is 5, but layers[0] relu gives 4",
        ),
        (
            model_of({"residual": [{"linear": {"out_features": 6}}]}),
            (4,),
            "layers[0] residual: its layers make (batch, 6) of (batch, 4), but their sum needs one shape for both",
        ),
        (
            model_of({"conv2d": {"out_channels": 2, "kernel_size": 5}}),
            (1, 4, 8),
            "layers[0] conv2d: a window of (5, 5), dilation (1, 1), does not fit into 4 × 8 with padding (0, 0)",
        ),
        (
            model_of("relu", {"conv2d": {"out_channels": 2, "kernel_size": 5}}),
            (16,),
            "conv2d: expected an input (batch, channels, height, width), but layers[0] relu gives (batch, 16)",
        ),
        (
            model_of({"conv2d": {"out_channels": 3, "kernel_size": 1, "groups": 2}}),
            (2, 4, 4),
            "layers[0] conv2d: out_channels is 3, which groups: 2 does not divide",
        ),
        (
            model_of({"conv2d": {"out_channels": 3, "kernel_size": 3, "stride": 2, "padding": "same"}}),
            (2, 4, 4),
            'layers[0] conv2d: padding "same" needs stride 1',
        ),
        (
            model_of({"max_pool2d": {"kernel_size": 2, "padding": 2}}),
            (2, 4, 4),
            "layers[0] max_pool2d: padding (2, 2) is more",
        ),
        (
            model_of({"reshape": {"shape": [5, -1]}}),
            (12,),
            "layers[0] reshape: shape [5, -1] does not hold the 12 numbers",
        ),
        (model_of({"flatten": {"start_dim": 3}}), (12,), "layers[0] flatten: start_dim 3 to end_dim -1 is no stretch"),
        (
            model_of({"softmax": {"dim": 2}}),
            (12,),
            "layers[0] softmax: dim is 2; expected an axis after the batch axis",
        ),
        (model_of({"layer_norm": {"normalized_shape": 3}}), (4,), "write normalized_shape: [4] or leave it out"),
        (model_of("batch_norm2d"), (4,), "layers[0] batch_norm2d: expected an input (batch, channels, height, width)"),
        (
            model_of({"linear": {"out_features": 2}}),
            (),
            "layers[0] linear: expected rows, but the input gives one number",
        ),
    ],
)
def test_sizes_that_do_not_fit_name_the_layer_and_the_way_out(build, shape, words):
    with pytest.raises(ShapeError) as error:
        build(shape)
    assert words in str(error.value)


def test_wrong_data_for_a_built_layer_or_model():
    layer = nn.Linear(64, 10)
    layer(np.ones((2, 64)))
    with pytest.raises(ShapeError) as error:
        layer(np.ones((2, 63)))
    assert str(error.value) == (
        "linear: in_features is 64, but the input gives 63; linear takes (batch, 64), got (2, 63)"
    )
    model = Sequential(nn.Flatten(), nn.Linear(None, 3), input_shape=(4, 5))
    with pytest.raises(ShapeError) as error:
        model(np.ones((2, 4, 6)))
    assert str(error.value) == (
        "layers[1] linear: in_features is 20, but layers[0] flatten gives 24; "
        "the model takes (batch, 4, 5), got (2, 4, 6)"
    )
    with pytest.raises(ShapeError, match="expected a batch, got a single number"):
        model(1.0)


def test_images_of_another_size_pass_where_all_layers_can_take_them():
    model = Sequential(nn.Conv2d(1, 2, 3), nn.GlobalAvgPool2d(), nn.Linear(2, 3), input_shape=(1, 8, 8))
    assert model(np.ones((2, 1, 12, 9))).shape == (2, 3)


def test_a_failed_first_call_leaves_no_trace():
    model = Sequential(nn.Linear(out_features=4), nn.Linear(5, 2))
    for _ in range(2):
        with pytest.raises(ShapeError, match=r"layers\[1\] linear: in_features is 5, but layers\[0\] linear gives 4"):
            model(np.ones((2, 3)))
    assert model[0].in_features is None
    assert not model.named_parameters()


def test_batch_norm_never_changes_what_a_graph_holds():
    model = Sequential(nn.BatchNorm1d(), nn.Linear(3, 2), input_shape=3)
    x = np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32)
    y, before = model(x), {name: b.copy() for name, b in model.named_buffers().items()}
    held = model.named_buffers()
    y.backward(np.ones((5, 2)))
    expected = model.named_parameters()["0.weight"].grad.copy()
    model.zero_grad()
    y = model(x)
    model(x, training=True)
    y.backward(np.ones((5, 2)))
    np.testing.assert_array_equal(model.named_parameters()["0.weight"].grad, expected)
    assert all((held[name] == before[name]).all() for name in held)
    assert (model.named_buffers()["0.running_mean"] != before["0.running_mean"]).any()


def test_batch_norm_without_momentum_counts_all_batches_the_same():
    model = Sequential(nn.BatchNorm1d(momentum=None), input_shape=2)
    batches = np.random.default_rng(0).standard_normal((4, 8, 2)).astype(np.float32)
    for x in batches:
        model(x, training=True)
    np.testing.assert_allclose(model.state_dict()["0.running_mean"], batches.mean((0, 1)), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(model.state_dict()["0.running_var"], batches.var(1, ddof=1).mean(0), rtol=1e-4)


def test_the_layer_of_the_documentation_works():
    class Scale(Layer):
        """y = weight · x."""

        size: typing.Annotated[int | None, Doc("size of each row")] = None

        def shape_after(self, shape, site):
            site.size("size", self.size, shape[-1])
            return shape

        def create(self, shape, site):
            self.size = shape[-1]
            self.weights["weight"] = site.parameter("weight", (self.size,), "ones", None)

        def forward(self, x, training, rng):
            return x * self.weights["weight"]

    model = Sequential(Scale(), Scale(4), input_shape=4)
    model(np.ones((2, 4))).sum().backward()
    assert model.named_parameters()["1.weight"].grad.tolist() == [2, 2, 2, 2]
    assert Scale(3).config() == {"size": 3}
